"""A real registry in a folder of its own, and short ways to fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_queue.jobs.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "data" / "registry.db")


@pytest.fixture
def registry(path: str) -> Iterator[Registry]:
    registry = Registry(path)
    yield registry
    registry.close()
