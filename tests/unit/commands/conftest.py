"""Each test of this folder finds the catalog empty and leaves it as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from mcp_queue.commands.catalog import registry
from mcp_queue.commands.intake import intake


@pytest.fixture(autouse=True)
def empty_catalog() -> Iterator[None]:
    before = list(registry)
    path, modules = list(sys.path), set(sys.modules)
    _clear()
    yield
    _clear()
    for info in before:
        registry.register(info)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("mcp_queue.files.", "authored_")):
            del sys.modules[name]


def _clear() -> None:
    intake.problems.clear()
    registry.forget(registry.everything())
