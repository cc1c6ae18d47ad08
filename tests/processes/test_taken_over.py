"""Jobs whose supervisor was killed: the next one knows all that it must, and obeys old requests."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import support.lost_commands  # noqa: F401 (registers the commands)
from mcp_queue.jobs import job_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from support.processes import GUARD
from support.queues import done, opened, submit, supervisor_pid, worker_pid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.processes import Lifelines


@asynccontextmanager
async def _left_alone(
    settings: Settings, lines: Lifelines, name: str, **params: Any
) -> AsyncIterator[tuple[JobRecord, int, Registry]]:
    """A job that runs while neither server nor supervisor lives, its worker, and the registry."""
    async with await QueueManager.open(settings) as queue:
        job = await submit(queue, name, port=lines.port, **params)
        await lines.arrive()
        worker = await worker_pid(queue, job)
        job = await queue.get_job_status(job.job_id)
        supervisor = await supervisor_pid(queue)
    os.kill(supervisor, signal.SIGKILL)
    with closing(Registry(queue.registry_path)) as registry:
        yield job, worker, registry


async def _lost(queue: QueueManager, job: JobRecord) -> None:
    record = await done(queue, job)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "interrupted")
    assert (record.exit_code, record.signal) == (None, None)
    assert (record.progress, record.description) == (10, "at the gate")
    assert (await queue.get_job_logs(job.job_id))["stdout"] == ["at the gate"]


async def test_a_worker_that_died_in_between_was_interrupted(
    persistent: Settings, lines: Lifelines
) -> None:
    async with _left_alone(persistent, lines, "gated") as (job, worker, _):
        os.kill(worker, signal.SIGKILL)
        await lines.end()
        async with opened(persistent) as queue:
            await _lost(queue, job)


async def test_how_an_adopted_worker_dies_is_not_known(
    persistent: Settings, lines: Lifelines
) -> None:
    async with (
        _left_alone(persistent, lines, "gated") as (job, worker, _),
        opened(persistent) as queue,
    ):
        await supervisor_pid(queue)
        os.kill(worker, signal.SIGKILL)
        await _lost(queue, job)


async def test_what_ended_in_between_has_its_result(persistent: Settings, lines: Lifelines) -> None:
    async with _left_alone(persistent, lines, "gated", answer=[1]) as (job, worker, _):
        gone = os.pidfd_open(worker)
        lines.let_go()
        with anyio.fail_after(GUARD):
            await anyio.wait_readable(gone)
        os.close(gone)
        async with opened(persistent) as queue:
            record = await done(queue, job)
            assert (record.status, record.result, record.progress) == ("completed", [1], 100)
            assert record.description == "through the gate"


@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        ("timeout = 0.001", "timeout", "ran longer than 0.001 seconds"),
        ("memory_limit = 1000", "out_of_memory", "over its limit of 1000 bytes"),
    ],
)
async def test_limits_hold_for_an_adopted_job(
    persistent: Settings, lines: Lifelines, rule: str, code: str, message: str
) -> None:
    async with _left_alone(persistent, lines, "gated") as (job, _, registry):
        registry.execute(f"UPDATE jobs SET {rule}")
        async with opened(persistent) as queue:
            record = await done(queue, job)
            assert record.error is not None
            assert (record.status, record.error.code) == ("failed", code)
            assert str(record.error).endswith(message)
            await lines.end()


async def test_a_clock_that_is_set_ends_no_adopted_job(
    persistent: Settings, lines: Lifelines
) -> None:
    async with _left_alone(persistent, lines, "gated", answer=1) as (job, _, registry):
        registry.execute("UPDATE jobs SET timeout = 3600, started_at = started_at - 86400")
        async with opened(persistent) as queue:
            await supervisor_pid(queue)
            lines.let_go()
            assert (await done(queue, job)).result == 1


@pytest.mark.parametrize("adopted", [False, True])
async def test_what_may_be_run_again_is(
    persistent: Settings, lines: Lifelines, tmp_path: Path, adopted: bool
) -> None:
    path = str(tmp_path / "attempts")
    settings = replace(persistent, retry_backoff_seconds=0)
    async with _left_alone(settings, lines, "crashes", path=path, times=0) as (job, worker, _):
        if not adopted:
            os.kill(worker, signal.SIGKILL)
            await lines.end()
            lines.let_go()
        async with opened(settings) as queue:
            if adopted:
                await supervisor_pid(queue)
                os.kill(worker, signal.SIGKILL)
                await lines.end()
                lines.let_go()
            await lines.arrive()
            lines.let_go()
            record = await done(queue, job)
            assert (record.status, record.result, record.attempt) == ("completed", 2, 2)


async def test_a_stop_that_nobody_heard_is_obeyed(persistent: Settings, lines: Lifelines) -> None:
    async with _left_alone(persistent, lines, "obeys", answer="left") as (job, _, registry):
        job_rows.request_stop(registry, job.job_id)
        async with opened(persistent) as queue:
            record = await done(queue, job)
            assert (record.status, record.result) == ("stopped", "left")
            await lines.end()


async def test_what_was_stopped_and_died_unseen_is_stopped(
    persistent: Settings, lines: Lifelines, tmp_path: Path
) -> None:
    path = str(tmp_path / "attempts")
    async with _left_alone(persistent, lines, "crashes", path=path) as (job, worker, registry):
        job_rows.request_stop(registry, job.job_id)
        os.kill(worker, signal.SIGKILL)
        await lines.end()
        async with opened(persistent) as queue:
            record = await done(queue, job)
            assert (record.status, record.attempt, record.error) == ("stopped", 1, None)


async def test_a_delete_that_nobody_heard_is_obeyed(persistent: Settings, lines: Lifelines) -> None:
    async with _left_alone(persistent, lines, "spins") as (job, _, registry):
        job_rows.delete(registry, job.job_id, "by client")
        async with opened(persistent) as queue:
            await lines.end()
            assert (await queue.get_job_status(job.job_id)).status == "deleted"
        assert os.listdir(RegistryFolder(queue.registry_path).runs) == []
