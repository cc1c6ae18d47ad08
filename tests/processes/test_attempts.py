"""Attempts: what is lost is run again where its command allows that, and nothing else ever is."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import support.lost_commands  # noqa: F401 (registers the commands)
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from support import harm
from support.processes import sleeper
from support.queues import (
    becomes_true,
    done,
    opened,
    run,
    submit,
    supervisor_pid,
    until,
    worker_pid,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_queue.config import Settings
    from support.processes import Lifelines

pytestmark = pytest.mark.supervisor_killed

LONG = 3600.0  # seconds; longer than any test


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, retry_backoff_seconds=0.01)


@pytest.fixture
async def resting(persistent: Settings) -> AsyncIterator[QueueManager]:
    """A queue whose jobs rest for long between two attempts."""
    async with opened(replace(persistent, retry_backoff_seconds=LONG)) as queue:
        yield queue


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "attempts")


def _attempts(path: str) -> list[int]:
    return [int(line) for line in Path(path).read_text().split()]


@pytest.mark.parametrize("how", ["3", "0", "SIGKILL", "SIGSEGV"])
async def test_what_is_lost_is_run_again(queue: QueueManager, path: str, how: str) -> None:
    record = await run(queue, "crashes", path=path, how=how, times=2)
    assert (record.status, record.result, record.attempt) == ("completed", 3, 3)
    assert (record.error, record.exit_code, record.signal) == (None, None, None)
    assert _attempts(path) == [1, 2, 3]
    logs = await queue.get_job_logs(record.job_id)
    assert logs["stdout"] == ["output of attempt 3"]
    runs = RegistryFolder(queue.registry_path).runs
    assert os.listdir(runs) == [record.run_id]


async def test_the_last_attempt_tells_how_it_was_lost(queue: QueueManager, path: str) -> None:
    record = await run(queue, "crashes", path=path)
    assert record.error is not None
    assert (record.status, record.error.code, record.attempt) == ("failed", "exit", 3)
    assert (record.exit_code, record.progress) == (3, 50)
    assert record.to_dict()["attempt"] == 3


async def test_what_a_command_raises_is_not_tried_again(queue: QueueManager, path: str) -> None:
    record = await run(queue, "crashes", path=path, how="raise")
    assert record.error is not None
    assert (record.error.code, record.attempt, _attempts(path)) == ("exception", 1, [1])


async def test_what_ran_out_of_time_is_not_tried_again(
    queue: QueueManager, path: str, lines: Lifelines
) -> None:
    record = await run(queue, "dawdles", path=path, port=lines.port)
    assert record.error is not None
    assert (record.error.code, record.attempt, _attempts(path)) == ("timeout", 1, [1])


async def test_what_was_asked_to_stop_is_not_tried_again(
    queue: QueueManager, path: str, lines: Lifelines
) -> None:
    job = await submit(queue, "crashes", path=path, port=lines.port)
    await lines.arrive()
    await supervisor_pid(queue)
    record = await queue.stop_job(job.job_id)
    assert (record.status, record.attempt, record.error) == ("stopped", 1, None)


async def _lost_once(queue: QueueManager, path: str) -> str:
    """The id of a job that rests before its second attempt."""
    job = await submit(queue, "crashes", path=path, how="3", times=1)
    await until(queue, job, lambda r: r.status == "pending" and r.attempt == 2)
    return job.job_id


async def test_between_two_attempts_a_job_waits_and_shows_why(
    resting: QueueManager, path: str
) -> None:
    job_id = await _lost_once(resting, path)
    record = await resting.get_job_status(job_id)
    assert (record.progress, record.started_at, record.error) == (0, None, None)
    assert record.queue_position == 1
    assert record.description.startswith("attempt 1 of 3 failed: the worker exited with code 3")
    assert (await resting.get_job_logs(job_id))["stdout"] == ["output of attempt 1"]
    assert (await run(resting, "add", a=1, b=2)).result == 3  # it holds up nobody
    record = await resting.stop_job(job_id)
    assert (record.status, _attempts(path)) == ("stopped", [1])


async def test_a_job_that_rests_is_deleted_with_its_logs(resting: QueueManager, path: str) -> None:
    job_id = await _lost_once(resting, path)
    await resting.delete_job(job_id)
    assert os.listdir(RegistryFolder(resting.registry_path).runs) == []


async def test_a_job_that_rests_may_have_to_give_way(
    persistent: Settings, path: str, lines: Lifelines
) -> None:
    limited = replace(persistent, retry_backoff_seconds=LONG, max_queue_size=1)
    async with opened(limited) as queue:
        job_id = await _lost_once(queue, path)
        job = await submit(queue, "gated", port=lines.port)
        await lines.arrive()
        assert (await queue.get_job_status(job_id)).status == "deleted"
        record = await queue.get_job_status(job.job_id)
        runs = RegistryFolder(queue.registry_path).runs
        await becomes_true(lambda: os.listdir(runs) == [record.run_id])


async def test_a_rest_goes_on_under_the_next_supervisor(resting: QueueManager, path: str) -> None:
    job_id = await _lost_once(resting, path)
    pid = await supervisor_pid(resting)
    os.kill(pid, signal.SIGKILL)
    await supervisor_pid(resting, other_than=pid)
    assert (await run(resting, "add", a=1, b=2)).result == 3
    record = await resting.get_job_status(job_id)
    assert (record.status, record.attempt, _attempts(path)) == ("pending", 2, [1])
    registry = Registry(resting.registry_path)
    registry.execute("UPDATE jobs SET not_before_boot = 'an earlier boot'")
    registry.close()
    os.kill(await supervisor_pid(resting), signal.SIGKILL)
    record = await resting.wait_for_job(job_id)
    assert (record.status, record.result, _attempts(path)) == ("completed", 2, [1, 2])


async def test_what_a_reboot_cut_off_is_run_again(
    persistent: Settings, path: str, lines: Lifelines
) -> None:
    async with await QueueManager.open(persistent) as queue:
        job = await submit(queue, "crashes", path=path, times=0, port=lines.port)
        once = await submit(queue, "gated", port=lines.port)
        await lines.arrive(2)
        workers = [await worker_pid(queue, job), await worker_pid(queue, once)]
        supervisor = await supervisor_pid(queue)
    for pid in (supervisor, *workers):
        os.kill(pid, signal.SIGKILL)
    await lines.end()
    with sleeper() as stranger:  # it got a pid that was a worker's before
        harm.rewrite(queue.registry_path, lambda _: f"another boot||{stranger.pid}|1")
        lines.let_go()
        async with opened(replace(persistent, retry_backoff_seconds=0)) as queue:
            lost = await done(queue, once)
            assert lost.error is not None
            assert (lost.status, lost.error.code, lost.exit_code) == ("failed", "interrupted", None)
            await lines.arrive()
            lines.let_go()
            record = await done(queue, job)
            assert (record.status, record.result, record.attempt) == ("completed", 2, 2)
            assert _attempts(path) == [1, 2]
        assert stranger.poll() is None
