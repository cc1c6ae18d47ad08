"""The built-in commands, ``queue_*``: the queue as tools, and the views that they answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.builtin.commands import COMMANDS, NAMES
from mcp_queue.builtin.views import Envelope

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog

__all__ = ["NAMES", "Envelope", "register"]


def register(catalog: Catalog) -> None:
    """Add the built-in commands. Raises DuplicateCommandError if a name is taken."""
    for info in COMMANDS:
        catalog.register(info)
