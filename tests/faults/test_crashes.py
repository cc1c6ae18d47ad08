"""Row 22: death at each crash point, of one process, of all at once, and of the machine."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.errors import JobNotFoundError
from mcp_queue.manager import QueueManager
from mcp_queue.system import crash as points
from support import harm, invariants
from support.processes import Lifelines
from support.queues import done, until
from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.serving import Setup

SITE = Path(__file__).parents[1] / "support" / "site_powercut"

YES = {"confirm": True}
LARGE = 100_000  # bytes of a result that goes to a file of its own
LOST = {("failed", "signal"), ("failed", "interrupted")}
WHOLE = {("completed", None)}
STOPPED = {("stopped", None)}
DELETED = {("deleted", None)}

# How the job of each point may end, when one process died and when all were killed, and after a
# power cut; None: it is unknown, having been answered to nobody.
ENDINGS: dict[str, tuple[set[Any], set[Any]]] = {
    "submit.before_commit": ({None}, {None}),
    "submit.after_commit": (WHOLE, WHOLE | LOST),
    "claim.before_commit": (WHOLE, WHOLE | LOST),
    "claim.after_commit": (WHOLE, WHOLE | LOST),
    "spawn.before_record": (WHOLE, WHOLE | LOST),
    "spawn.after_record": (WHOLE, WHOLE | LOST),
    "worker.before_started": (WHOLE, WHOLE | LOST),
    "worker.after_started": (LOST, LOST),
    "outcome.before_fsync": (LOST, LOST),
    "outcome.after_fsync": (LOST, LOST),
    "outcome.after_line": (WHOLE, WHOLE | LOST),
    "settle.before_commit": (WHOLE, WHOLE | LOST),
    "settle.after_commit": (WHOLE, WHOLE),
    "stop.before_commit": (WHOLE | LOST, LOST),
    "stop.after_commit": (STOPPED, STOPPED | LOST),
    "delete.before_commit": (WHOLE | LOST, LOST),
    "delete.after_commit": (DELETED, DELETED),
    "evict.before_commit": (WHOLE | LOST, LOST),
    "evict.after_commit": (DELETED, DELETED),
    "answer.before_commit": (WHOLE | LOST, LOST),
    "answer.after_commit": (WHOLE | LOST, WHOLE | LOST),
    "deliver.before_record": (WHOLE | LOST, WHOLE | LOST),
    "deliver.after_record": (WHOLE | LOST, WHOLE | LOST),
    "retain.before_commit": (WHOLE | {None}, WHOLE | {None}),
    "retain.after_commit": (WHOLE | {None}, WHOLE | {None}),
    "leave.before_commit": (WHOLE, WHOLE),
    "leave.after_commit": (WHOLE, WHOLE),
}

# Where a successor may have begun the run again in the moment before all were killed.
BEGUN_AGAIN = {
    "submit.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "spawn.before_record",
    "spawn.after_record",
    "worker.before_started",
}


class Story:
    """One job on its way past a crash point; what its client was answered."""

    def __init__(self, server: Setup, witness: invariants.Witness, point: str) -> None:
        self.server = server
        self.witness = witness
        self.point = point
        self.job_id: str | None = None
        self.notes = server.folder / "notes"
        self.crashed = server.folder / "crashed"
        self.gate = Lifelines()

    def environment(self, *, power_cut: bool) -> dict[str, str]:
        found = {points.POINT: self.point, points.ONCE: str(self.crashed)}
        if power_cut:
            found["PYTHONPATH"] = os.pathsep.join([str(SITE), os.environ["PYTHONPATH"]])
        return found

    async def tell(self, client: RawClient) -> None:
        """Go on until something dies at the point."""
        greet(client)
        verb = self.point.partition(".")[0]
        if verb == "submit":
            arguments = {"path": str(self.notes), "line": "ran"}
            client.post("tools/call", {"name": "note", "arguments": arguments})
        elif verb in ("stop", "delete"):
            self.take(
                call(client, "note_and_meet", path=str(self.notes), port=self.gate.port)["job_id"]
            )
            self.gate.take()
            arguments = {"job_id": self.job_id}
            client.post("tools/call", {"name": f"queue_{verb}_job", "arguments": arguments})
        elif verb == "evict":
            self.take(
                call(client, "note_and_meet", path=str(self.notes), port=self.gate.port)["job_id"]
            )
            self.gate.take()
            client.post("tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}})
        elif verb in ("answer", "deliver"):
            self.take(call(client, "note_and_ask", path=str(self.notes))["job_id"])
            call(client, "queue_wait_job", job_ids=[self.job_id])
            arguments = {"job_id": self.job_id, "content": YES}
            client.post("tools/call", {"name": "queue_answer_job", "arguments": arguments})
        else:
            answer = call(client, "notes_and_returns", path=str(self.notes), size=LARGE)
            self.take(answer["job_id"])
        if verb == "leave":
            call(client, "queue_wait_job", job_ids=[self.job_id])
            client.close_stdin()
        await invariants.becomes(self.crashed.exists, f"{self.point} was never passed")

    def take(self, job_id: str) -> None:
        self.job_id = job_id
        if not self.point.startswith("retain."):
            self.witness.told(job_id)

    async def end(self, settings: Settings) -> tuple[str, str | None] | None:
        """How the job ended, under the next server; None when there is none."""
        self.gate.let_go()
        async with await QueueManager.open(settings) as queue:
            if self.job_id is None:
                [self.job_id, *more] = [*{r.job_id for r in await queue.list_jobs()}, None]
                assert len(more) <= 1
            if self.job_id is None:
                return None
            if self.point.startswith(("answer.", "deliver.")):
                await self.answer(queue)
            try:
                record = await done(queue, await queue.get_job_status(self.job_id))
            except JobNotFoundError:
                return None
            await self.check_result(queue, record)
            return record.status, record.error.code if record.error is not None else None

    async def answer(self, queue: QueueManager) -> None:
        """Answer what the job asks, if it still does; an answer that was given stays given."""
        job = await queue.get_job_status(str(self.job_id))
        asks = (await until(queue, job, lambda now: now.questions or now.terminal)).questions
        if asks and not self.point.endswith("before_commit"):
            raise AssertionError("an answer that was stored is lost")
        if asks:
            await queue.answer_job(job.job_id, None, "accept", YES)

    async def check_result(self, queue: QueueManager, record: JobRecord) -> None:
        """A result that is told of is there, whole."""
        if record.status == "completed" and record.command == "note_and_ask":
            assert record.result == "accept"
        if record.status == "completed" and record.command == "notes_and_returns":
            assert len(await queue.result_of(record.job_id)) == LARGE - 2

    def runs(self) -> int:
        with suppress(FileNotFoundError):
            return len(self.notes.read_text().splitlines())
        return 0


@pytest.mark.parametrize("dies", ["one", "all", "machine"])
@pytest.mark.parametrize("point", points.ALL)
async def test_row_22_crash_point(
    server: Setup, witness: invariants.Witness, persistent: Settings, point: str, dies: str
) -> None:
    if dies == "machine" and sys.platform != "linux":
        pytest.skip("what fsync was asked of is read from /proc")
    server.settings["supervisor_linger_seconds"] = 0.01
    if point.startswith("retain."):
        server.settings["completed_job_retention_seconds"] = 0.1
    if point.startswith("evict."):
        server.settings["max_queue_size"] = 1
    story = Story(server, witness, point)
    environment = story.environment(power_cut=dies == "machine")
    with story.gate, RawClient(server.command, env=environment) as client:
        await story.tell(client)
        if dies != "one":
            harm.kill_all(witness.path, more=[client.pid])
        elif point in points.IN_SERVER:
            client.wait()
        if dies == "machine":
            client.wait()
            await invariants.becomes(lambda: not invariants.workers(), "a worker that was killed")
            harm.cut_power(witness.path)
        ending = await story.end(persistent)
    allowed = ENDINGS[point][dies == "machine"]
    assert ending in (allowed | LOST if dies == "all" and point in BEGUN_AGAIN else allowed)
    assert story.runs() <= 1
    if ending in WHOLE:
        assert story.runs() == 1


def test_row_22_every_point_has_its_endings() -> None:
    assert set(ENDINGS) == set(points.ALL)
