"""A server of its own for each test, with jobs that the test steers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.serving import Setup
from support.steering import Steering

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def commands_for_servers(monkeypatch: pytest.MonkeyPatch, own_user_folders: None) -> None:
    """Servers and their workers find the commands of the tests as modules."""
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    settings = {"shutdown_timeout": 0.5, "stop_grace_seconds": 0.5, "max_concurrent_jobs": 40}
    return Setup(tmp_path, settings, ["support.wire_commands"])


@pytest.fixture
def steering() -> Iterator[Steering]:
    with Steering() as steering:
        yield steering
