"""What a job writes is in its log, whoever of it wrote, however it ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from support import invariants, scenes
from support.guards import GUARD
from support.processes import Lifelines
from support.queues import supervisor_pid
from support.rawclient import RawClient
from support.scenes import call, failure, greet

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.fixtures import Killed
    from support.invariants import Witness
    from support.scenes import Scene
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]

pytestmark = pytest.mark.supervisor_killed

CAP = 1 << 20  # bytes of a log that are kept


@pytest.mark.supervisor_stays("until the next one comes, nobody limits how much it takes")
@pytest.mark.parametrize("in_child", [False, True])
async def test_row_11_out_of_memory(scene: Scene, in_child: bool) -> None:
    record = await scene.run("devours", in_child=in_child)
    assert failure(record) == ("failed", "out_of_memory")
    assert "128 MiB" in str(record.error)
    assert (await scene.run("add", a=2, b=3)).result == 5


@pytest.mark.parametrize("settings", ["persistent"], indirect=True)
async def test_row_12_endless_output(
    settings: Settings, record_property: RecordProperty, thorough: bool
) -> None:
    """Memory and disk stay bounded, head and tail are kept, offsets hold."""
    size = (1 << 30) if thorough else (200 << 20)
    async with scenes.scene(replace(settings, log_cap_bytes=CAP)) as scene:
        job = await scene.submit("pours", size=size)
        await scene.until(job, lambda record: record.status == "running")
        first = await scene.queue.read_logs(job.job_id, tail=0)
        supervisor = psutil.Process(await supervisor_pid(scene.queue))
        peak = {"supervisor": 0, "disk": 0}
        ended = asyncio.create_task(scene.done(job))
        while not ended.done():
            peak["supervisor"] = max(peak["supervisor"], supervisor.memory_info().rss)
            now = await scene.queue.get_job_status(job.job_id)
            peak["disk"] = max(peak["disk"], on_disk(scene, now))
            await scene.queue.read_logs(job.job_id, tail=10)
            await asyncio.sleep(0.005)
        record = await ended
        assert failure(record) == ("completed", None)
        record_property("MiB resident, supervisor", peak["supervisor"] >> 20)
        # The job has ended before the last look at its log, which follows its worker's death.
        bound = CAP + (1 << 20)
        await invariants.becomes(lambda: on_disk(scene, record) <= bound, "an unbounded log")
        left = on_disk(scene, record)
        record_property("MiB on disk at most, after", [peak["disk"] >> 20, left >> 20])
        assert record.stdout_size is not None
        assert size <= record.stdout_size + 65536
        assert peak["supervisor"] < 100 << 20
        assert (await scene.queue.read_logs(job.job_id, tail=1)).stdout == ["the last line"]
        page = await scene.queue.read_logs(job.job_id, since=first.cursor)
        assert page.stdout
        assert first.cursor != page.cursor


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("one long line", "zzz"),
        ("binary", "\x00\x01\x02"),
        ("no newline", "no newline"),
        ("closed", "before"),
    ],
)
async def test_row_12_no_lines(scene: Scene, what: str, shown: str) -> None:
    record = await scene.run("babbles", what=what)
    assert (record.status, record.result) == ("completed", what)
    lines = (await scene.logs(record))["stdout"]
    assert any(shown in line for line in lines)
    assert max(map(len, lines)) < 20_000
    await scene.queue.delete_job(record.job_id)


def on_disk(scene: Scene, record: JobRecord) -> int:
    """Bytes that the output of a job takes."""
    if record.run_id is None:
        return 0
    folder = Path(scene.queue.registry_path + ".d") / "runs" / record.run_id
    try:
        return (folder / "stdout.log").stat().st_blocks * 512
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(("how", "code"), [("exit", "exit"), ("kill", "signal")])
async def test_row_13_last_words(scene: Scene, how: str, code: str, killed: Killed) -> None:
    record = await scene.run("says_and_dies", how=how)
    assert failure(record) == ("failed", killed.lost(code)[0])
    logs = await scene.logs(record)
    assert logs["stdout"] == ["from Python from C from a child and the last"]
    assert logs["stderr"] == ["error of Python"]


@pytest.mark.parametrize("how", ["exit", "return"])
async def test_row_13_output_held_open(
    scene: Scene, lines: Lifelines, how: str, killed: Killed
) -> None:
    with Lifelines() as gate:
        job = await scene.submit("leaves_a_holder", how=how, port=lines.port, gate=gate.port)
        await lines.arrive()
        await gate.arrive()
        gate.let_go()
        ended = failure(await scene.done(job))
        lost = ("failed", killed.lost("exit")[0])
        assert ended == (lost if how == "exit" else ("completed", None))
    await lines.end()


async def test_row_14_progress_flood(
    scene: Scene, lines: Lifelines, record_property: RecordProperty
) -> None:
    job = await scene.submit("progress", updates=10_000, port=lines.port)
    seen: list[float] = []
    with anyio.fail_after(GUARD):
        async with aclosing(scene.queue.watch([job.job_id])) as changes:
            async for record in changes:
                seen.append(record.progress)
                if record.description == "clamped":
                    break
    record_property("changes seen of 10,000", len(seen))
    assert seen == sorted(seen)
    assert seen[-1] == 100.0
    await lines.arrive()
    lines.let_go()
    await scene.until(job, lambda r: (r.progress, r.description) == (0.0, "below"))
    await lines.arrive()
    lines.let_go()
    await scene.until(job, lambda r: (r.progress, r.description) == (55.5, "below"))
    await lines.arrive()
    lines.let_go()
    assert failure(await scene.done(job)) == ("failed", "exception")
    log = (await scene.logs(job))["stderr"]
    assert sum(line.startswith("warning") for line in log) == 1


async def test_row_14_server_beside_a_flood(
    server: Setup, witness: Witness, lines: Lifelines, record_property: RecordProperty
) -> None:
    with RawClient(server.command) as client:
        greet(client)
        idle = [answer_time(client) for _ in range(200)]
        job_id = call(client, "floods_progress", updates=200_000, port=lines.port)["job_id"]
        witness.told(job_id)
        params = {
            "name": "queue_wait_job",
            "arguments": {"job_ids": [job_id], "timeout_seconds": 60},
            "_meta": {"progressToken": "flood"},
        }
        wait = client.post("tools/call", params)
        busy = [answer_time(client) for _ in range(400)]
        client.wait_for(lambda r: "the last state" in str(r.message.get("params", {})))
        lines.take()
        lines.let_go()
        answer = client.answer(wait).message
        assert answer["result"]["structuredContent"]["jobs"][0]["status"] == "completed"
        shown = [n["params"]["progress"] for n in client.notifications]
        assert shown == sorted(set(shown))
    idle_p95, busy_p95 = percentile(idle), percentile(busy)
    record_property("p95 of another call, ms: idle, beside a flood", [idle_p95, busy_p95])


def answer_time(client: RawClient) -> float:
    asked = time.monotonic()
    call(client, "queue_list_jobs")
    return time.monotonic() - asked


def percentile(seconds: list[float]) -> float:
    return round(sorted(seconds)[int(len(seconds) * 0.95)] * 1000, 2)
