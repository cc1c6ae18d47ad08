"""Queues to do harm to, in memory and persistent; real servers on them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import support.fault_commands
import support.job_commands
import support.neutral_commands  # noqa: F401 (all three register commands)
from mcp_queue.system import crash as crash_points
from support import scenes
from support.fixtures import GRACE
from support.serving import Setup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp_queue.config import Settings
    from support.invariants import Witness
    from support.scenes import Scene

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def commands_for_servers(monkeypatch: pytest.MonkeyPatch, own_user_folders: None) -> None:
    """Servers and their workers find the commands of the tests as modules."""
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.fixture
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    async with scenes.scene(settings) as scene:
        yield scene


@pytest.fixture
async def patient(settings: Settings) -> AsyncIterator[Scene]:
    """A scene whose jobs have time to end by themselves after a stop."""
    async with scenes.scene(replace(settings, stop_grace_seconds=30.0)) as scene:
        yield scene


@pytest.fixture
async def witness(persistent: Settings) -> AsyncIterator[Witness]:
    async with scenes.observed(persistent) as witness:
        yield witness


@pytest.fixture
def server(tmp_path: Path, persistent: Settings) -> Setup:
    """A real server on the registry of ``persistent``."""
    section = {
        "in_memory": False,
        "registry_path": persistent.registry_path,
        "stop_grace_seconds": GRACE,
    }
    return Setup(tmp_path, section, ["support.job_commands", "support.fault_commands"])


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Lets the first process that comes to a point die there, or each one."""

    def arm(point: str, *, once: bool = True) -> None:
        monkeypatch.setenv(crash_points.POINT, point)
        monkeypatch.setenv(crash_points.ONCE, str(tmp_path / "crashed") if once else "")

    return arm
