"""Queues with a real supervisor and real workers, in memory and persistent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import support.job_commands  # noqa: F401 (registers the commands)
from mcp_queue.config import Settings
from support.processes import Lifelines
from support.queues import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mcp_queue.manager import QueueManager

GRACE = 0.3  # seconds that a job gets to stop


@pytest.fixture
def persistent(tmp_path: Path) -> Settings:
    return Settings(
        in_memory=False,
        registry_path=str(tmp_path / "data" / "registry.db"),
        stop_grace_seconds=GRACE,
        supervisor_linger_seconds=0.1,
    )


@pytest.fixture(params=["in_memory", "persistent"])
def settings(request: pytest.FixtureRequest, persistent: Settings) -> Settings:
    if request.param == "persistent":
        return persistent
    return replace(persistent, in_memory=True, registry_path=None)


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[QueueManager]:
    async with opened(settings) as queue:
        yield queue


@pytest.fixture
def lines() -> Iterator[Lifelines]:
    with Lifelines() as lines:
        yield lines
