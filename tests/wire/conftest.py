"""A server of its own for each test, with jobs that the test steers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.serving import Setup
from support.steering import Steering

COMMANDS = Path(__file__).with_name("wire_commands.py")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, {"shutdown_timeout": 0.5, "stop_grace_seconds": 0.5}, [str(COMMANDS)])


@pytest.fixture
def steering() -> Iterator[Steering]:
    with Steering() as steering:
        yield steering
