"""Limits under real bursts: never one job too many, and who is evicted while it runs is dead."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.lowlevel
import pytest

from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.errors import InvalidJobStateError, QueueFullError
from mcp_queue.jobs import states
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from support.processes import Lifelines
from support.queues import done, opened, submit, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_queue.config import Settings

SIZE = 20
BURST = 200
NOT_ENDED = "SELECT count(*) FROM jobs WHERE status IN ('pending', 'running')"


@asynccontextmanager
async def counted(path: str) -> AsyncIterator[list[int]]:
    """How many jobs had not ended, at each of many moments."""
    registry = Registry(path)
    counts: list[int] = []

    async def look() -> None:
        while True:
            counts.append(registry.value(NOT_ENDED))
            await anyio.lowlevel.checkpoint()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            yield counts
            tasks.cancel_scope.cancel()
    finally:
        registry.close()


async def test_no_burst_gets_past_the_limit(persistent: Settings, lines: Lifelines) -> None:
    settings = replace(persistent, max_queue_size=SIZE, max_concurrent_jobs=2)
    with Lifelines() as others:
        async with opened(settings) as queue, await QueueManager.open(settings) as other:
            first = await submit(queue, "gated", port=lines.port)
            await lines.arrive()
            ids = [first.job_id]

            async def burst(manager: QueueManager) -> None:
                for n in range(BURST // 2):
                    job = await manager.submit(
                        catalog.get("gated"), {"port": others.port}, start=n % 2 == 0
                    )
                    ids.append(job.job_id)

            async with counted(queue.registry_path) as counts, anyio.create_task_group() as tasks:
                tasks.start_soon(burst, queue)
                tasks.start_soon(burst, other)
            assert max(counts) <= SIZE
            assert len(counts) >= BURST
            records = [await queue.get_job_status(job_id) for job_id in ids]
            left = [record for record in records if not record.terminal]
            gone = [record for record in records if record.terminal]
            assert (len(left), len(gone)) == (SIZE, BURST + 1 - SIZE)
            assert {(r.status, r.reason) for r in gone} == {
                ("deleted", "evicted by max_queue_size")
            }
            assert max(r.created_at for r in gone) <= min(r.created_at for r in left)
            assert records[0] in gone
            await lines.end()


async def test_a_refused_burst_loses_nothing(persistent: Settings, lines: Lifelines) -> None:
    settings = replace(
        persistent,
        per_job_type_limits={"gated": 5},
        queue_full_policy="reject",
        max_concurrent_jobs=1,
    )
    async with opened(settings) as queue, await QueueManager.open(settings) as other:
        taken: list[str] = []
        refused: list[QueueFullError] = []

        async def burst(manager: QueueManager) -> None:
            for _ in range(20):
                try:
                    taken.append((await submit(manager, "gated", port=lines.port)).job_id)
                except QueueFullError as error:
                    refused.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(burst, queue)
            tasks.start_soon(burst, other)
        assert (len(taken), len(refused)) == (5, 35)
        assert "per_job_type_limits['gated'] is 5" in refused[0].message
        assert (await submit(queue, "nothing")).status == "pending"
        await lines.arrive()
        assert len(await queue.list_jobs(states.RUNNING)) == 1
        lines.let_go()
        [first] = [j for j in taken if (await queue.get_job_status(j)).status != "pending"]
        assert (await queue.wait_for_job(first)).status == "completed"
        await submit(other, "gated", port=lines.port)
        with pytest.raises(QueueFullError):
            await submit(other, "gated", port=lines.port)


@pytest.mark.supervisor_killed
async def test_who_asks_for_an_evicted_job_learns_why(settings: Settings, lines: Lifelines) -> None:
    settings = replace(settings, per_job_type_limits={"gated": 1})
    async with opened(settings) as queue:
        first = await submit(queue, "gated", port=lines.port)
        await lines.arrive()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until, queue, first, lambda record: record.terminal)
            await submit(queue, "gated", port=lines.port)
        record = await done(queue, first)
        reason = "evicted by per_job_type_limits"
        assert (record.status, record.reason) == ("deleted", reason)
        for ask in (
            queue.start_job,
            queue.stop_job,
            queue.delete_job,
            queue.result_of,
            queue.read_logs,
            queue.get_job_logs,
        ):
            with pytest.raises(InvalidJobStateError, match=reason):
                await ask(first.job_id)
        await lines.end()


async def test_the_limits_in_force_are_those_written_last(persistent: Settings) -> None:
    limited = replace(persistent, max_queue_size=2, per_job_type_limits={"add": 7})
    async with opened(persistent) as queue, await QueueManager.open(limited):
        jobs = [
            await queue.submit(catalog.get("add"), {"a": 1, "b": 1}, start=False) for _ in range(3)
        ]
        assert (await queue.get_job_status(jobs[0].job_id)).status == "deleted"
        health = await queue.get_queue_health()
        assert (health["max_queue_size"], health["queue_full_policy"]) == (2, "evict_oldest")
        assert health["per_job_type_limits"] == {"add": 7}
        assert health["completed_job_retention_seconds"] == 21600


async def test_an_evicted_job_has_its_own_grace_when_the_queue_ends(
    persistent: Settings, lines: Lifelines
) -> None:
    settings = replace(persistent, in_memory=True, shutdown_timeout=600.0, max_queue_size=1)
    async with await QueueManager.open(settings) as queue:
        await submit(queue, "spins", port=lines.port)
        await lines.arrive()
        await queue.submit(catalog.get("add"), {"a": 1, "b": 1}, start=False)
    await lines.end()
