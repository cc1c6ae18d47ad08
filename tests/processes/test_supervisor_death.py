"""The supervisor is killed, and no persistent job with it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_queue.jobs import events, run_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.system.identity import identity_of
from support.processes import GUARD
from support.queues import (
    becomes_true,
    done,
    freeze_supervisor,
    opened,
    run,
    submit,
    supervisor_pid,
    until,
    worker_pid,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mcp_queue.config import Settings
    from mcp_queue.manager import QueueManager
    from support.processes import Lifelines


@pytest.fixture
async def queue(persistent: Settings) -> AsyncIterator[QueueManager]:
    async with opened(persistent) as queue:
        yield queue


async def _kill_supervisor(queue: QueueManager) -> int:
    """Kill it; its pid."""
    pid = await supervisor_pid(queue)
    os.kill(pid, signal.SIGKILL)
    return pid


async def _another(queue: QueueManager, killed: int) -> None:
    assert await supervisor_pid(queue, other_than=killed) != killed


async def test_a_running_job_is_adopted_and_completes(
    queue: QueueManager, lines: Lifelines, record_property: Callable[[str, object], None]
) -> None:
    job = await submit(queue, "gated", port=lines.port, answer={"kept": True})
    await lines.arrive()
    await until(queue, job, lambda record: record.progress == 10)
    before = anyio.current_time()
    killed = await _kill_supervisor(queue)
    await _another(queue, killed)
    record_property("seconds to a new supervisor", round(anyio.current_time() - before, 3))
    assert (await queue.get_job_status(job.job_id)).status == "running"
    lines.let_go()
    record = await done(queue, job)
    assert (record.status, record.result, record.attempt) == ("completed", {"kept": True}, 1)
    assert (record.progress, record.description) == (100.0, "through the gate")
    assert (await queue.get_job_logs(job.job_id))["stdout"] == ["at the gate", "through the gate"]


async def test_a_pending_job_runs_when_the_adopted_one_ends(
    persistent: Settings, lines: Lifelines
) -> None:
    async with opened(replace(persistent, max_concurrent_jobs=1)) as queue:
        first = await submit(queue, "gated", port=lines.port)
        await lines.arrive()
        second = await submit(queue, "add", a=1, b=1)
        await _another(queue, await _kill_supervisor(queue))
        assert (await queue.get_job_status(second.job_id)).queue_position == 1
        lines.let_go()
        assert (await done(queue, first)).status == "completed"
        assert (await done(queue, second)).result == 2


async def test_what_ended_meanwhile_is_settled_from_its_folder(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "gated", port=lines.port, answer="x" * 100_000)
    await lines.arrive()
    worker = await worker_pid(queue, job)
    pid = await freeze_supervisor(queue)  # so that nobody sees the end
    lines.let_go()
    await becomes_true(lambda: identity_of(worker) is None)
    os.kill(pid, signal.SIGKILL)
    record = await done(queue, job)
    assert (record.status, record.result_size) == ("completed", 100_002)
    assert await queue.result_of(job.job_id) == "x" * 100_000


async def test_a_worker_that_died_unseen_is_interrupted(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "gated", port=lines.port)
    await lines.arrive()
    await until(queue, job, lambda record: record.progress == 10)
    worker = await worker_pid(queue, job)
    pid = await freeze_supervisor(queue)
    os.kill(worker, signal.SIGKILL)
    await lines.end()
    os.kill(pid, signal.SIGKILL)
    record = await done(queue, job)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "interrupted")
    assert (record.exit_code, record.signal, record.progress) == (None, None, 10)


async def test_an_adopted_job_is_stopped_with_its_tree(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "stubborn", how="waits", port=lines.port)
    await lines.arrive(3)
    await _another(queue, await _kill_supervisor(queue))
    record = await queue.stop_job(job.job_id)
    assert record.status == "stopped"
    assert lines.living() == 0


async def test_a_stop_that_the_dead_one_had_begun_is_finished(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "gated", port=lines.port)
    await lines.arrive()
    pid = await freeze_supervisor(queue)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.stop_job, job.job_id)
        await until(queue, job, lambda record: record.stop_requested)
        os.kill(pid, signal.SIGKILL)
    record = await done(queue, job)
    assert (record.status, record.error) == ("stopped", None)
    await lines.end()


async def test_an_outcome_that_was_seen_but_not_stored_is_not_lost(
    persistent: Settings, lines: Lifelines
) -> None:
    async with opened(replace(persistent, stop_grace_seconds=GUARD)) as queue:
        job = await submit(queue, "lingers", port=lines.port, until_stop=True)
        await lines.arrive()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.stop_job, job.job_id)
            await _has_outcome(queue, job.job_id)
            # Whatever rings makes the supervisor read the outcome of the run that stays.
            assert (await run(queue, "nothing")).status == "completed"
            assert (await queue.get_job_status(job.job_id)).status == "running"
            await _another(queue, await _kill_supervisor(queue))
            lines.let_go()
        record = await done(queue, job)
        assert (record.status, record.result) == ("stopped", "returned")


async def _has_outcome(queue: QueueManager, job_id: str) -> None:
    record = await queue.get_job_status(job_id)
    assert record.run_id is not None
    folder = RegistryFolder(queue.registry_path).run(record.run_id)

    def said() -> set[object]:
        return {event["e"] for event in events.read(folder.events, 0)[0]}

    await becomes_true(lambda: events.OUTCOME in said())


async def test_a_worker_that_lingers_is_killed_by_the_next_supervisor(
    persistent: Settings, lines: Lifelines
) -> None:
    settings = replace(persistent, stop_grace_seconds=3.0, max_concurrent_jobs=1)
    async with opened(settings) as queue:
        job = await submit(queue, "lingers", port=lines.port)
        assert (await done(queue, job)).status == "completed"
        await lines.arrive()
        waiting = await submit(queue, "nothing")
        await _another(queue, await _kill_supervisor(queue))
        assert (await done(queue, waiting)).status == "completed"
        assert lines.living() == 0


async def test_deleting_an_adopted_job_leaves_nothing(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "gated", port=lines.port)
    await lines.arrive()
    pid = await freeze_supervisor(queue)
    await queue.delete_job(job.job_id)
    os.kill(pid, signal.SIGKILL)
    await lines.end()
    registry = Registry(queue.registry_path)
    await becomes_true(lambda: not run_rows.all_runs(registry))
    registry.close()


async def test_killing_it_again_and_again_loses_nothing(
    queue: QueueManager, lines: Lifelines, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    kept = await submit(queue, "gated", port=lines.port, answer="kept")
    await lines.arrive()
    lines_of_all: list[str] = []
    for turn in range(5):
        names = [f"{turn}-{n}" for n in range(3)]
        jobs = [await submit(queue, "note", path=str(path), line=name) for name in names]
        await _another(queue, await _kill_supervisor(queue))
        ended = [await done(queue, job) for job in jobs]
        assert [record.error for record in ended if record.error] == []
        lines_of_all += names
    lines.let_go()
    assert (await done(queue, kept)).result == "kept"
    assert sorted(path.read_text().split()) == lines_of_all  # each ran, and once
