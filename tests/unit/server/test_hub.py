"""One watch while anyone listens, coalesced for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel

from mcp_queue.server.hub import EVERY_JOB, THE_SET, Hub
from support.fake_manager import FakeQueue


@asynccontextmanager
async def running(queue: FakeQueue) -> AsyncGenerator[Hub]:
    stand_in: Any = queue
    hub = Hub(stand_in)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        yield hub
        tasks.cancel_scope.cancel()


async def settle() -> None:
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def test_changes_of_a_burst_come_together_and_others_not_at_all() -> None:
    queue = FakeQueue()
    async with running(queue) as hub:
        with hub.listener({"a", "b", THE_SET}) as listener:
            await settle()
            for _ in range(100):
                queue.change("a", progress=1.0)
                queue.change("c", progress=1.0)
            with anyio.fail_after(5):
                assert await listener.changes() == {"a", THE_SET}
            queue.change("c", progress=2.0)
            with anyio.move_on_after(0.1) as scope:
                await listener.changes()
            assert scope.cancelled_caught
            queue.change("b", status="deleted")
            with anyio.fail_after(5):
                assert await listener.changes() == {"b", THE_SET}


async def test_the_watch_is_released_with_the_last_listener_and_taken_again() -> None:
    queue = FakeQueue()
    async with running(queue) as hub:
        await settle()
        assert queue.watchers == 0
        for _ in range(2):
            with hub.listener({EVERY_JOB}) as listener:
                await settle()
                assert queue.watchers == 1
                queue.change("a", progress=1.0)
                with anyio.fail_after(5):
                    assert await listener.changes() == {EVERY_JOB}
            await settle()
            assert queue.watchers == 0
