"""One watch while anyone listens, coalesced for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mcp_queue.errors import RegistryError
from mcp_queue.server.following import hub as hub_module
from mcp_queue.server.following.hub import EVERY_JOB, THE_SET, Hub
from support.fake_manager import FakeQueue
from support.guards import GUARD


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
    async with running(queue) as hub, hub.listener({"a", "b", THE_SET}) as listener:
        await settle()
        for _ in range(100):
            queue.change("a", progress=1.0)
            queue.change("c", progress=1.0)
        with anyio.fail_after(GUARD):
            assert await listener.changes() == {"a", THE_SET}
        queue.change("c", progress=2.0)
        with anyio.move_on_after(0.1) as scope:
            await listener.changes()
        assert scope.cancelled_caught
        queue.change("b", status="deleted")
        with anyio.fail_after(GUARD):
            assert await listener.changes() == {"b", THE_SET}


async def test_the_watch_is_released_with_the_last_listener_and_taken_again() -> None:
    queue = FakeQueue()
    async with running(queue) as hub:
        await settle()
        assert queue.watchers == 0
        for _ in range(2):
            async with hub.listener({EVERY_JOB}) as listener:
                await settle()
                assert queue.watchers == 1
                queue.change("a", progress=1.0)
                with anyio.fail_after(GUARD):
                    assert await listener.changes() == {EVERY_JOB}
            await settle()
            assert queue.watchers == 0


async def test_a_listener_begins_when_nothing_is_missed_any_more() -> None:
    queue = FakeQueue()
    queue.opening.clear()
    async with running(queue) as hub, anyio.create_task_group() as tasks:
        begun = anyio.Event()

        async def listen() -> None:
            async with hub.listener({"a"}) as listener:
                queue.change("a", progress=1.0)
                begun.set()
                assert await listener.changes() == {"a"}

        tasks.start_soon(listen)
        await settle()
        assert not begun.is_set()
        queue.opening.set()
        with anyio.fail_after(GUARD):
            await begun.wait()


async def test_listeners_that_left_at_once_leave_no_watch_behind() -> None:
    queue = FakeQueue()
    async with running(queue) as hub:
        await settle()
        for _ in range(3):
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with hub.listener({"a"}):
                    pass
        await settle()
        assert queue.watchers == 0
        async with hub.listener({"a"}):
            assert queue.watchers == 1
        await settle()
        assert queue.watchers == 0


async def test_after_a_failure_each_listener_looks_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hub_module, "RETRY", 0.01)
    queue = FakeQueue()
    queue.broken = RegistryError(path="registry.db", reason="the disk is full", advice="Wait.")
    async with running(queue) as hub:
        with anyio.fail_after(GUARD):
            async with hub.listener({"a", THE_SET}) as listener:
                queue.broken = None
                assert await listener.changes() == {"a", THE_SET}
    assert "the disk is full" in caplog.text
