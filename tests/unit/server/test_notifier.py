"""One watch while there are followers; each gets the changes of a short time together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mcp_queue.errors import RegistryError
from mcp_queue.server.following import notifier as notifier_module
from mcp_queue.server.following.notifier import ANY_JOB, JOB_LIST, Notifier
from support.fake_manager import FakeQueue
from support.guards import GUARD


@asynccontextmanager
async def running(queue: FakeQueue) -> AsyncGenerator[Notifier]:
    stand_in: Any = queue
    notifier = Notifier(stand_in)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notifier.run)
        yield notifier
        tasks.cancel_scope.cancel()


async def settle() -> None:
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def test_changes_of_a_burst_come_together_and_others_not_at_all() -> None:
    queue = FakeQueue()
    async with running(queue) as notifier, notifier.follow({"a", "b", JOB_LIST}) as follower:
        await settle()
        for _ in range(100):
            queue.change("a", progress=1.0)
            queue.change("c", progress=1.0)
        with anyio.fail_after(GUARD):
            assert await follower.changes() == {"a", JOB_LIST}
        queue.change("c", progress=2.0)
        with anyio.move_on_after(0.1) as scope:
            await follower.changes()
        assert scope.cancelled_caught
        queue.change("b", status="deleted")
        with anyio.fail_after(GUARD):
            assert await follower.changes() == {"b", JOB_LIST}


async def test_the_watch_is_released_with_the_last_follower_and_taken_again() -> None:
    queue = FakeQueue()
    async with running(queue) as notifier:
        await settle()
        assert queue.watchers == 0
        for _ in range(2):
            async with notifier.follow({ANY_JOB}) as follower:
                await settle()
                assert queue.watchers == 1
                queue.change("a", progress=1.0)
                with anyio.fail_after(GUARD):
                    assert await follower.changes() == {ANY_JOB}
            await settle()
            assert queue.watchers == 0


async def test_a_follower_begins_when_nothing_is_missed_any_more() -> None:
    queue = FakeQueue()
    queue.opening.clear()
    async with running(queue) as notifier, anyio.create_task_group() as tasks:
        begun = anyio.Event()

        async def listen() -> None:
            async with notifier.follow({"a"}) as follower:
                queue.change("a", progress=1.0)
                begun.set()
                assert await follower.changes() == {"a"}

        tasks.start_soon(listen)
        await settle()
        assert not begun.is_set()
        queue.opening.set()
        with anyio.fail_after(GUARD):
            await begun.wait()


async def test_followers_that_left_at_once_leave_no_watch_behind() -> None:
    queue = FakeQueue()
    async with running(queue) as notifier:
        await settle()
        for _ in range(3):
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with notifier.follow({"a"}):
                    pass
        await settle()
        assert queue.watchers == 0
        async with notifier.follow({"a"}):
            assert queue.watchers == 1
        await settle()
        assert queue.watchers == 0


async def test_after_a_failure_each_follower_looks_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifier_module, "RETRY", 0.01)
    queue = FakeQueue()
    queue.broken = RegistryError(path="registry.db", reason="the disk is full", advice="Wait.")
    async with running(queue) as notifier:
        with anyio.fail_after(GUARD):
            async with notifier.follow({"a", JOB_LIST}) as follower:
                queue.broken = None
                assert await follower.changes() == {"a", JOB_LIST}
    assert "the disk is full" in caplog.text
