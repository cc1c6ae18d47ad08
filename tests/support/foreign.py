"""Other people's programs, which the tests run: where they are, and what if they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest

COMMAND = "python -m tests.hosts.install"
Found = TypeVar("Found")


def folder(environ: Mapping[str, str]) -> Path:
    """Where they are installed, outside the tree."""
    chosen = environ.get("MCP_QUEUE_TEST_PROGRAMS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "mcp-queue-tests"


def required(environ: Mapping[str, str], found: Found | None, name: str) -> Found:
    """What was found; without it the test is skipped by name, and fails where ``CI`` is true."""
    if found is not None:
        return found
    missing = f"{name} is not installed ({COMMAND})"
    if environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
