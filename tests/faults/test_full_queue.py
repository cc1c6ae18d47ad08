"""A server is killed over a full queue: 5 jobs run, 50 wait."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_queue.system.identity import state_of
from support import harm, invariants
from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.invariants import Witness
    from support.processes import Lifelines
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]

RUNNING = 5
WAITING = 50


def fill(client: RawClient, lines: Lifelines, notes: Path) -> tuple[list[str], list[str]]:
    """Queue jobs, of which so many run and so many wait; their ids."""
    greet(client)
    running = [
        call(client, "gated", port=lines.port, answer=f"answer {n}")["job_id"]
        for n in range(RUNNING)
    ]
    lines.take(RUNNING)
    waiting = [
        call(client, "note", path=str(notes), line=f"{n:02}")["job_id"] for n in range(WAITING)
    ]
    assert states(client) == {"running": RUNNING, "pending": WAITING}
    return running, waiting


def states(client: RawClient) -> Counter[str]:
    jobs = call(client, "queue_list_jobs", limit=100)["jobs"]
    return Counter(job["status"] for job in jobs)


def first_answers(client: RawClient) -> dict[str, float]:
    """Milliseconds from a server's start to its first answers."""
    greet(client)
    assert client.request("tools/list")["result"]["tools"]
    listed = client.now()
    call(client, "queue_list_jobs", limit=100)
    since = {"tools/list": listed, "queue_list_jobs": client.now()}
    return {name: round((at - client.started_at) * 1000) for name, at in since.items()}


def ended(client: RawClient, job_ids: list[str]) -> dict[str, dict[str, Any]]:
    """The views of jobs once each has ended."""
    views: dict[str, dict[str, Any]] = {}
    for job_id in job_ids:  # one by one, so that the guard is not for all of them together
        answer = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=GUARD)
        assert not answer["timed_out"]
        [views[job_id]] = answer["jobs"]
    return views


async def test_row_15_server_killed_over_a_full_queue(
    server: Setup,
    witness: Witness,
    lines: Lifelines,
    tmp_path: Path,
    record_property: RecordProperty,
) -> None:
    """What runs goes on in the same run, what waits waits, and each runs once."""
    server.settings["max_concurrent_jobs"] = RUNNING
    notes = tmp_path / "notes"
    with RawClient(server.command) as first:
        running, waiting = fill(first, lines, notes)
        for job_id in (*running, *waiting):
            witness.told(job_id)
        runs = {job_id: runs_of(witness, job_id) for job_id in running}
        first.kill()
        assert first.wait() == -signal.SIGKILL
    with RawClient(server.command) as second:
        record_property("milliseconds to the first answer", first_answers(second))
        assert states(second) == {"running": RUNNING, "pending": WAITING}
        assert lines.living() == RUNNING
        lines.let_go()
        for number, (job_id, view) in enumerate(ended(second, running).items()):
            assert (view["status"], view["result"]) == ("completed", f"answer {number}")
            assert (view["attempt"], runs_of(witness, job_id)) == (1, runs[job_id])
            log = call(second, "queue_get_job_logs", job_id=job_id)
            assert log["stdout"] == ["at the gate", "through the gate"]
        for job_id, view in ended(second, waiting).items():
            assert (view["status"], view["attempt"]) == ("completed", 1)
            assert len(runs_of(witness, job_id)) == 1
    assert sorted(notes.read_text().split()) == [f"{n:02}" for n in range(WAITING)]


def runs_of(witness: Witness, job_id: str) -> set[str]:
    """The runs that a job has had."""
    return {run_id for _, _, run_id in witness.transitions(job_id) if run_id is not None}


async def test_row_16_in_memory_killed_over_a_full_queue(
    server: Setup, lines: Lifelines, tmp_path: Path, record_property: RecordProperty
) -> None:
    """All that was there goes; the next server begins empty and knows none of the old ids."""
    server.settings = {"in_memory": True, "max_concurrent_jobs": RUNNING}
    notes = tmp_path / "notes"
    with RawClient(server.command) as first:
        running, waiting = fill(first, lines, notes)
        path = call(first, "queue_health")["registry_path"]
        processes = harm.identities(path)
        assert len(processes) == RUNNING + 2
        since = time.monotonic()
        first.kill()
        assert first.wait() == -signal.SIGKILL
    with RawClient(server.command) as second:
        record_property("milliseconds to the first answer", first_answers(second))
        assert states(second) == {}
        for job_id in (*running, *waiting):
            error = refused(second, "queue_get_job_status", job_id=job_id)
            assert error["code"] == "job_not_found"
        await lines.end()
        await invariants.becomes(
            lambda: {state_of(each) for each in processes} == {"dead"}, "a process of the dead"
        )
        record_property("seconds until all were gone, at most", round(time.monotonic() - since, 2))
        await invariants.becomes(lambda: not os.path.exists(os.path.dirname(path)), "the folder")
        one = call(second, "note", path=str(notes), line="another")["job_id"]
        assert ended(second, [one])[one]["status"] == "completed"
    assert notes.read_text() == "another\n"
