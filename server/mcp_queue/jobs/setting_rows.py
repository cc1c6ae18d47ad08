"""The row of the settings that all processes of a registry share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_queue.jobs import shared_settings

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.shared_settings import SharedSettings


def in_force(registry: Registry) -> SharedSettings:
    """The settings that were written last; the defaults if there are none."""
    text = registry.value("SELECT value FROM settings")
    return shared_settings.from_json(json.loads(text) if text is not None else {})


def write(registry: Registry, settings: SharedSettings) -> None:
    """Store these settings, inside a transaction."""
    written = json.dumps(settings.shared())
    registry.execute("INSERT OR REPLACE INTO settings VALUES (1, ?)", (written,))
