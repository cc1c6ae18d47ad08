"""What a job writes is in its log, whoever of it wrote, however it ends."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest

from support.processes import Lifelines
from support.rawclient import RawClient
from support.scenes import call, failure, greet

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.invariants import Witness
    from support.scenes import Scene
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]


@pytest.mark.parametrize(
    ("how", "ending"), [("exit", ("failed", "exit")), ("kill", ("failed", "signal"))]
)
async def test_row_13_last_words(scene: Scene, how: str, ending: tuple[str, str]) -> None:
    record = await scene.run("says_and_dies", how=how)
    assert failure(record) == ending
    logs = await scene.logs(record)
    assert logs["stdout"] == ["from Python from C from a child and the last"]
    assert logs["stderr"] == ["error of Python"]


@pytest.mark.parametrize(
    ("how", "ending"), [("exit", ("failed", "exit")), ("return", ("completed", None))]
)
async def test_row_13_output_held_open(
    scene: Scene, lines: Lifelines, how: str, ending: tuple[str, str | None]
) -> None:
    with Lifelines() as gate:
        job = await scene.submit("leaves_a_holder", how=how, port=lines.port, gate=gate.port)
        await lines.arrive()
        await gate.arrive()
        gate.let_go()
        assert failure(await scene.done(job)) == ending
    await lines.end()


async def test_row_14_progress_flood(
    scene: Scene, lines: Lifelines, record_property: RecordProperty
) -> None:
    job = await scene.submit("progress", updates=10_000, port=lines.port)
    seen: list[float] = []
    with anyio.fail_after(30):
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
        job_id = call(client, "floods", updates=200_000, port=lines.port)["job_id"]
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
