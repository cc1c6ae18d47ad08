"""A stop, a timeout and a crash end the whole tree of a job, whatever it does against it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mcp_queue import clock
from support import scenes
from support.queues import supervisor_pid, worker_pid
from support.scenes import failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from support.fixtures import Killed
    from support.processes import Lifelines
    from support.scenes import Scene

    RecordProperty = Callable[[str, object], None]


pytestmark = pytest.mark.supervisor_killed


async def test_row_07_endless_loop(
    scene: Scene, lines: Lifelines, record_property: RecordProperty
) -> None:
    job = await scene.submit("spins", port=lines.port)
    await lines.arrive()
    await supervisor_pid(scene.queue)
    asked = clock.monotonic()
    record = await scene.queue.stop_job(job.job_id)
    grace = scene.settings.stop_grace_seconds
    over = clock.monotonic() - asked - grace
    record_property("milliseconds beyond the grace", round(over * 1000, 1))
    assert failure(record) == ("stopped", None)
    await lines.end()


@pytest.mark.parametrize(
    ("command", "how", "processes"),
    [
        ("stubborn", "waits", 3),  # ignores SIGTERM
        ("stubborn", "spins", 3),
        ("stubborn", "stopped", 3),  # by a SIGSTOP to itself
        ("blocks_in_c", None, 1),
    ],
)
async def test_row_08_will_not_stop(
    scene: Scene, lines: Lifelines, command: str, how: str | None, processes: int
) -> None:
    job = await scene.submit(command, port=lines.port, **({"how": how} if how else {}))
    await lines.arrive(processes)
    await supervisor_pid(scene.queue)
    record = await scene.queue.stop_job(job.job_id)
    assert failure(record) == ("stopped", None)
    await lines.end()


@pytest.mark.parametrize("ends_by", ["stop", "delete", "crash"])
async def test_row_09_descendants(
    scene: Scene, lines: Lifelines, ends_by: str, killed: Killed
) -> None:
    if killed and ends_by == "crash":  # a daemon without the run's mark is then out of reach
        job = await scene.submit("leaves_marked", port=lines.port)
    else:
        job = await scene.submit("stubborn", how="waits", port=lines.port)
    await lines.arrive(3)
    if ends_by == "stop":
        await scene.queue.stop_job(job.job_id)
    elif ends_by == "delete":
        await scene.queue.delete_job(job.job_id)
    else:
        os.kill(await worker_pid(scene.queue, job), signal.SIGKILL)
    await lines.end()
    await scene.done(job)


@pytest.mark.parametrize("settings", ["persistent"], indirect=True)
@pytest.mark.parametrize("worker_too", [False, True])
async def test_row_09_descendants_without_supervisor(
    scene: Scene, lines: Lifelines, worker_too: bool
) -> None:
    """A daemon with a cleared environment is out of reach when both are dead, so there is none."""
    job = await scene.submit("leaves_marked", port=lines.port)
    await lines.arrive(3)
    worker = await worker_pid(scene.queue, job)
    os.kill(await supervisor_pid(scene.queue), signal.SIGKILL)
    if worker_too:
        os.kill(worker, signal.SIGKILL)
        assert failure(await scene.done(job)) == ("failed", "interrupted")
    else:
        await scene.queue.stop_job(job.job_id)
        assert failure(await scene.done(job)) == ("stopped", None)
    await lines.end()


async def test_row_10_timeout(settings: Settings, lines: Lifelines) -> None:
    brisk = replace(settings, niceness=0)  # its tree is there before the time is up
    async with scenes.scene(brisk) as scene:
        record = await scene.run("impatient", port=lines.port)
        assert failure(record) == ("failed", "timeout")
        assert "6 seconds" in str(record.error)
        await lines.arrive(3)
        await lines.end()
