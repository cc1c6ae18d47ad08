"""The built-in commands, ``queue_*``: the queue as tools."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mcp_queue.builtin.commands import COMMANDS, NAMES, OPEN_WORLD
from mcp_queue.commands.intake import intake
from mcp_queue.errors import DuplicateCommandError

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog

log = logging.getLogger(__name__)

__all__ = ["NAMES", "OPEN_WORLD", "register"]


def register(catalog: Catalog) -> None:
    """Add the built-in commands. Each replaces a command of the same name."""
    for info in COMMANDS:
        try:
            catalog.register_command(info)
        except DuplicateCommandError as error:
            log.error("mcp-queue: %s", error.text)
            intake.problems.append(error)
            catalog.unregister(info.name)
            catalog.register_command(info)
