"""A supervisor's state with a loop, an executor and workers that the test steers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import supervising

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.supervising import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with supervising.scene(tmp_path) as scene:
        yield scene
