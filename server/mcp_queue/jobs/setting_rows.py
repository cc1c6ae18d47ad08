"""The one row of the settings that hold for everybody on a registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_queue.jobs import shared_settings

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.shared_settings import SharedSettings


def in_force(registry: Registry) -> SharedSettings:
    """The settings that were written last; the defaults before any were."""
    text = registry.value("SELECT value FROM settings")
    return shared_settings.from_json(json.loads(text) if text is not None else {})


def write(registry: Registry, settings: SharedSettings) -> None:
    """Let these settings hold; in a transaction of the caller's."""
    written = json.dumps(settings.shared())
    registry.execute("INSERT OR REPLACE INTO settings VALUES (1, ?)", (written,))
