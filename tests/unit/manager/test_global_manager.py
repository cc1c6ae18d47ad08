"""The one manager of a program."""

from __future__ import annotations

import pytest

from mcp_queue import (
    ManagerMissingError,
    QueueManager,
    get_global_queue_manager,
    init_global_queue_manager,
    shutdown_global_queue_manager,
)


def test_before_its_init_it_is_missing() -> None:
    with pytest.raises(ManagerMissingError, match="no global queue manager") as missing:
        get_global_queue_manager()
    assert "init_global_queue_manager" in missing.value.hint


async def test_it_is_got_with_await_as_documented_and_without() -> None:
    opened = await init_global_queue_manager()
    try:
        assert isinstance(opened, QueueManager)
        assert await get_global_queue_manager() is opened
        assert get_global_queue_manager() is opened
    finally:
        await shutdown_global_queue_manager()
    with pytest.raises(ManagerMissingError):
        get_global_queue_manager()
    await shutdown_global_queue_manager()
