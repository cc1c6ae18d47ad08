"""Queues for the process tests, ended without a trace."""

from __future__ import annotations

import os
import select
import signal
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import psutil

from mcp_queue import clock
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.errors import JobNotFoundError, RegistryBusyError
from mcp_queue.jobs import job_rows, member_rows, run_rows, states
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from mcp_queue.system.identity import DEAD, state_of
from mcp_queue.system.watch import watch
from support.processes import GUARD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[QueueManager]:
    """A manager; whatever its test left of jobs is deleted, and the supervisor sent away."""
    async with await QueueManager.open(settings) as queue:
        yield queue
        for status in (states.PENDING, states.RUNNING):
            for record in await queue.list_jobs(status):
                await queue.delete_job(record.job_id)
    if not settings.in_memory:
        clear(queue.registry_path)


def clear(path: str) -> None:
    """End the jobs and the supervisor of a persistent registry without waiting for its leave."""
    registry = Registry(path)
    deadline = clock.monotonic() + GUARD
    try:
        supervisor = member_rows.supervisor(registry)
        if supervisor is None or state_of(supervisor.identity) == DEAD:
            return
        while job_rows.unfinished(registry) and clock.monotonic() < deadline:
            select.select([], [], [], 0.01)
        watching = watch(supervisor.identity)
        assert watching is not None
        watching.send(signal.SIGTERM)
        select.select([watching], [], [], GUARD)
        watching.close()
    finally:
        registry.close()


async def submit(queue: QueueManager, name: str, **params: Any) -> JobRecord:
    """Queue a call."""
    return await queue.submit(catalog.get(name), params)


async def done(queue: QueueManager, job: JobRecord) -> JobRecord:
    """The job once it has ended."""
    return await queue.wait_for_job(job.job_id, GUARD)


async def run(queue: QueueManager, name: str, **params: Any) -> JobRecord:
    """Queue a call and wait for its end."""
    return await done(queue, await submit(queue, name, **params))


async def until(
    queue: QueueManager, job: JobRecord, is_so: Callable[[JobRecord], object]
) -> JobRecord:
    """The job once ``is_so`` holds of it."""
    with anyio.fail_after(GUARD):
        async with aclosing(queue.watch([job.job_id])) as changes:
            async for record in changes:
                if is_so(record):
                    return record
    raise JobNotFoundError(job_id=job.job_id)


async def becomes_true(check: Callable[[], object]) -> None:
    """Wait for what nobody rings for, such as a folder that goes."""
    with anyio.fail_after(GUARD):
        while not check():  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def supervisor_pid(queue: QueueManager, *, other_than: int = 0) -> int:
    """The pid of the living supervisor, once there is one."""
    with anyio.fail_after(GUARD):
        while True:
            found = (await queue.get_queue_health())["supervisor"]
            if found["running"] and found["pid"] != other_than:
                return found["pid"]
            await anyio.sleep(0.01)


async def freeze_supervisor(queue: QueueManager) -> int:
    """Stop the supervisor (SIGSTOP), not while it writes, which would lock out all; its pid."""
    pid = await supervisor_pid(queue)
    registry = Registry(queue.registry_path, busy_timeout=0.1)
    try:
        with anyio.fail_after(GUARD):
            while True:
                os.kill(pid, signal.SIGSTOP)
                await becomes_true(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
                try:
                    with registry.transaction(durable=False):
                        return pid
                except RegistryBusyError:
                    os.kill(pid, signal.SIGCONT)
                    await anyio.sleep(0.01)
    finally:
        registry.close()


async def worker_pid(queue: QueueManager, job: JobRecord) -> int:
    """The pid of the worker of a running job, once it is recorded."""
    registry = Registry(queue.registry_path)
    try:
        with anyio.fail_after(GUARD):
            while True:
                for row in run_rows.all_runs(registry):
                    if row.job_id == job.job_id and row.identity is not None:
                        return int(row.identity.split("|")[2])
                await anyio.sleep(0.01)
    finally:
        registry.close()
