"""A manager that is closed leaves nobody waiting."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_queue.errors import QueueClosedError
from mcp_queue.manager import QueueManager
from support.processes import GUARD
from support.queues import clear, submit

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from support.processes import Lifelines


async def test_who_waits_for_a_job_learns_that_the_manager_is_closed(
    settings: Settings, lines: Lifelines
) -> None:
    queue = await QueueManager.open(settings)
    job = await submit(queue, "obeys", port=lines.port)
    await lines.arrive()
    told: list[str] = []

    async def wait() -> None:
        with pytest.raises(QueueClosedError):
            await queue.wait_for_job(job.job_id)
        told.append("wait")

    async def watch() -> None:
        async with aclosing(queue.watch()) as changes:
            with pytest.raises(QueueClosedError):
                await anext(changes)
        told.append("watch")

    with anyio.fail_after(GUARD):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            tasks.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            await queue.close()
    assert sorted(told) == ["wait", "watch"]
    if not settings.in_memory:
        lines.let_go()
        async with await QueueManager.open(settings) as another:
            await another.delete_job(job.job_id)
        clear(queue.registry_path)


async def test_a_closed_manager_says_so(settings: Settings) -> None:
    queue = await QueueManager.open(settings)
    await queue.close()
    for ask in (
        queue.list_jobs(),
        queue.get_queue_health(),
        queue.add_job("add", "job", {"a": 1, "b": 2}),
        queue.wait_for_job("job"),
    ):
        with pytest.raises(QueueClosedError, match="was closed"):
            await ask
