"""Ending jobs early: by a stop, a deletion, a timeout; and all they started with them."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_queue.errors import InvalidJobStateError, JobNotFoundError
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.manager import QueueManager
from mcp_queue.manager.queue_manager import STOP_MARGIN
from support.processes import GUARD
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
    from mcp_queue.jobs.record import JobRecord
    from support.processes import Lifelines


pytestmark = pytest.mark.supervisor_killed


def _is_stopped(record: JobRecord) -> None:
    assert (record.status, record.error) == ("stopped", None)
    assert record.finished_at is not None


def _folder(queue: QueueManager, record: JobRecord) -> Path:
    assert record.run_id is not None
    return Path(RegistryFolder(queue.registry_path).run(record.run_id).path)


async def _stop(queue: QueueManager, job: JobRecord) -> JobRecord:
    """Stop a job that a supervisor sees to; its end, which a busy machine may delay."""
    await supervisor_pid(queue)
    record = await queue.stop_job(job.job_id)
    return record if record.terminal else await queue.wait_for_job(job.job_id, GUARD)


@pytest.fixture
async def patient(settings: Settings) -> AsyncIterator[QueueManager]:
    """A queue whose jobs get all the time that they need to stop."""
    async with opened(replace(settings, stop_grace_seconds=GUARD)) as queue:
        yield queue


@pytest.mark.supervisor_stays("it shows what a server does")
async def test_a_stop_waits_as_long_as_the_grace_that_is_in_force(
    persistent: Settings, lines: Lifelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest = replace(persistent, stop_grace_seconds=1.25)
    async with opened(persistent) as queue, await QueueManager.open(latest):
        job = await submit(queue, "stubborn", how="waits", port=lines.port)
        await lines.arrive(3)
        waits: list[float | None] = []

        async def wait_for_job(job_id: str, timeout: float | None = None) -> JobRecord:
            waits.append(timeout)
            return await queue.get_job_status(job_id)

        with monkeypatch.context() as patch:
            patch.setattr(queue, "wait_for_job", wait_for_job)
            await queue.stop_job(job.job_id)
        assert waits == [1.25 + STOP_MARGIN]


@pytest.mark.supervisor_stays("no job of it runs")
async def test_a_pending_job_is_stopped_at_once(queue: QueueManager, tmp_path: Path) -> None:
    await queue.add_job("note", "added", {"path": str(tmp_path / "ran"), "line": "x"})
    _is_stopped(await queue.stop_job("added"))
    with pytest.raises(InvalidJobStateError):
        await queue.start_job("added")
    assert not (tmp_path / "ran").exists()


async def test_a_job_that_listens_ends_by_itself_and_keeps_its_result(
    patient: QueueManager, lines: Lifelines
) -> None:
    job = await submit(patient, "obeys", port=lines.port)
    await lines.arrive()
    record = await _stop(patient, job)
    _is_stopped(record)
    assert record.result == "kept"
    await lines.end()


async def test_a_large_result_is_kept_too(patient: QueueManager, lines: Lifelines) -> None:
    job = await submit(patient, "obeys", port=lines.port, answer="x" * 100_000)
    await lines.arrive()
    _is_stopped(await _stop(patient, job))
    assert await patient.result_of(job.job_id) == "x" * 100_000


async def test_a_coroutine_is_cancelled_and_tidies_up(
    patient: QueueManager, lines: Lifelines, tmp_path: Path
) -> None:
    path = tmp_path / "tidied"
    job = await submit(patient, "wait_async", port=lines.port, path=str(path))
    await lines.arrive()
    record = await _stop(patient, job)
    _is_stopped(record)
    assert record.result is None
    assert path.read_text() == "tidied up"
    await lines.end()


async def test_a_job_that_never_looks_is_killed(queue: QueueManager, lines: Lifelines) -> None:
    job = await submit(queue, "spins", port=lines.port)
    await lines.arrive()
    _is_stopped(await _stop(queue, job))
    await lines.end()


@pytest.mark.parametrize("how", ["waits", "spins", "stopped"])
async def test_a_job_that_will_not_end_is_killed_with_all_it_started(
    queue: QueueManager, lines: Lifelines, how: str
) -> None:
    job = await submit(queue, "stubborn", how=how, port=lines.port)
    await lines.arrive(3)
    _is_stopped(await _stop(queue, job))
    # `stopped` is written when the tree is dead, so nothing is waited for here.
    assert lines.living() == 0


async def test_several_stops_are_one(queue: QueueManager, lines: Lifelines) -> None:
    job = await submit(queue, "stubborn", how="waits", port=lines.port)
    await lines.arrive(3)
    records: list[JobRecord] = []

    async def stop() -> None:
        records.append(await _stop(queue, job))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(stop)
    assert {(record.status, record.rev) for record in records} == {("stopped", records[0].rev)}


async def test_what_has_ended_is_not_stopped(queue: QueueManager) -> None:
    record = await run(queue, "nothing")
    with pytest.raises(InvalidJobStateError, match="completed"):
        await queue.stop_job(record.job_id)
    with pytest.raises(JobNotFoundError):
        await queue.stop_job("nobody")


async def test_a_deleted_running_job_is_killed_and_its_folder_goes(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "stubborn", how="waits", port=lines.port)
    await lines.arrive(3)
    folder = _folder(queue, await queue.get_job_status(job.job_id))
    assert folder.is_dir()
    record = await queue.delete_job(job.job_id)
    assert (record.status, record.reason) == ("deleted", "by client")
    await lines.end()
    await becomes_true(lambda: not folder.exists())
    assert (await queue.get_job_status(job.job_id)).status == "deleted"
    assert await queue.list_jobs() == []
    with pytest.raises(InvalidJobStateError, match="by client"):
        await queue.get_job_logs(job.job_id)


async def test_deleting_a_job_that_ended_takes_its_result_and_logs(queue: QueueManager) -> None:
    record = await run(queue, "returns", what="large")
    folder = _folder(queue, record)
    assert folder.is_dir()
    await queue.delete_job(record.job_id)
    assert not folder.exists()
    with pytest.raises(InvalidJobStateError, match="by client"):
        await queue.result_of(record.job_id)
    with pytest.raises(InvalidJobStateError):
        await queue.delete_job(record.job_id)


async def test_a_timeout_fails_the_job_and_kills_its_tree(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "impatient", port=lines.port)
    await lines.arrive(3)
    record = await done(queue, job)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "timeout")
    assert "6 seconds" in str(record.error)
    assert lines.living() == 0


async def test_a_job_ends_with_its_outcome_though_a_thread_stays(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "lingers", port=lines.port)
    record = await done(queue, job)
    assert (record.status, record.result) == ("completed", "returned")
    await lines.arrive()
    await lines.end()  # it is given the grace of a stop


async def test_a_stop_waits_for_a_thread_that_stays_and_keeps_the_result(
    settings: Settings, lines: Lifelines
) -> None:
    async with opened(replace(settings, stop_grace_seconds=3.0)) as queue:
        job = await submit(queue, "lingers", port=lines.port, until_stop=True)
        await lines.arrive()
        record = await _stop(queue, job)
        _is_stopped(record)
        assert record.result == "returned"
        assert lines.living() == 0


async def test_a_signal_of_somebody_else_is_no_stop(
    queue: QueueManager, lines: Lifelines, tmp_path: Path
) -> None:
    job = await submit(queue, "wait_async", port=lines.port, path=str(tmp_path / "tidied"))
    await lines.arrive()
    os.kill(await worker_pid(queue, job), signal.SIGTERM)
    record = await done(queue, job)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "exception")
    assert "no stop was asked" in str(record.error)


@pytest.mark.supervisor_stays("the worker may be stopped before it could do that")
async def test_a_stop_before_the_worker_listens_ends_it_all_the_same(
    queue: QueueManager, lines: Lifelines
) -> None:
    for _ in range(5):
        job = await submit(queue, "gated", port=lines.port)
        await until(queue, job, lambda record: record.status == "running")
        _is_stopped(await _stop(queue, job))
