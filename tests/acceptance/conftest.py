"""A server of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.serving import Setup

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


@pytest.fixture
def persistent(tmp_path: Path) -> Setup:
    return Setup(
        tmp_path, {"in_memory": False, "registry_path": str(tmp_path / "data" / "registry.db")}
    )
