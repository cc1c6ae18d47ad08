"""A queue with a real supervisor and real workers, in memory and persistent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import support.job_commands  # noqa: F401 (registers the commands)
from support.queues import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_queue.config import Settings
    from mcp_queue.manager import QueueManager


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[QueueManager]:
    async with opened(settings) as queue:
        yield queue
