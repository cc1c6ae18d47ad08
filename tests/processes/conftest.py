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


@pytest.fixture(scope="module", params=["in_memory", "persistent"])
async def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueueManager]:
    """One queue for all tests of a module that leave nothing behind."""
    path = str(tmp_path_factory.mktemp("shared") / "registry.db")
    settings = Settings(
        in_memory=request.param == "in_memory",
        registry_path=None if request.param == "in_memory" else path,
        stop_grace_seconds=GRACE,
    )
    async with opened(settings) as queue:
        yield queue


@pytest.fixture
def lines() -> Iterator[Lifelines]:
    with Lifelines() as lines:
        yield lines
