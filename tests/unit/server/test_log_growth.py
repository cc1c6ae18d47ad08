"""Who subscribed to a log is told when it grows, and nobody looks when nobody wants to know."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from mcp_queue.server.following import log_growth
from mcp_queue.server.following.log_growth import LogGrowth, log_of
from support.fake_manager import FakeQueue, record
from support.queues import becomes_true


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_growth, "INTERVAL", 0.01)


class CountingQueue(FakeQueue):
    """Counts how often somebody looks."""

    looks = 0

    async def record_of(self, job_id: str) -> Any:
        self.looks += 1
        return await super().record_of(job_id)

    async def looked(self, times: int = 2) -> None:
        """Return after so many more looks."""
        wanted = self.looks + times
        await becomes_true(lambda: self.looks >= wanted)


async def test_growth_is_told_until_the_job_has_ended() -> None:
    queue: Any = CountingQueue(record("a", stdout_size=1, stderr_size=0), record("b"))
    told: list[set[str]] = []
    growth = LogGrowth(queue, told.append)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(growth.run)
        await growth.add({log_of("a"), "b", "a"})
        await queue.looked()
        assert told == []
        queue.change("a", stdout_size=2)
        await queue.looked()
        assert told == [{log_of("a")}]
        queue.change("a", stderr_size=5)
        await queue.looked()
        queue.change("a", stderr_size=7, status="completed")
        await queue.looked(1)
        await becomes_true(lambda: len(told) == 3)
        assert told == [{log_of("a")}] * 3
        looks = queue.looks
        await anyio.sleep(0.1)
        assert queue.looks == looks
        tasks.cancel_scope.cancel()


async def test_nobody_looks_when_the_last_has_gone() -> None:
    queue: Any = CountingQueue(record("a", stdout_size=1, stderr_size=0))
    growth = LogGrowth(queue, lambda _: None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(growth.run)
        for _ in range(2):
            await growth.add({log_of("a")})
        growth.remove({log_of("a")})
        await queue.looked()
        growth.remove({log_of("a")})
        await anyio.sleep(0.05)
        looks = queue.looks
        await anyio.sleep(0.1)
        assert queue.looks == looks
        await growth.add({log_of("a")})
        await queue.looked()
        tasks.cancel_scope.cancel()


async def test_a_job_that_is_gone_is_told_once() -> None:
    queue: Any = CountingQueue(record("a", stdout_size=1, stderr_size=0))
    told: list[set[str]] = []
    growth = LogGrowth(queue, told.append)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(growth.run)
        await growth.add({log_of("a"), log_of("unknown")})
        del queue.records["a"]
        await becomes_true(lambda: told)
        await anyio.sleep(0.05)
        assert told == [{log_of("a")}]
        tasks.cancel_scope.cancel()
