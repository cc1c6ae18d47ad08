"""What the handlers of one server share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueDisabledError

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.config import Settings
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.subscriptions import Hub


@dataclass(frozen=True)
class State:
    """``manager`` is None when the queue is switched off."""

    settings: Settings
    catalog: Catalog
    manager: QueueManager | None
    hub: Hub

    def queue(self, command: str) -> QueueManager:
        """The queue, which ``command`` needs. Raises QueueDisabledError when it is off."""
        if self.manager is None:
            raise QueueDisabledError(command=command)
        return self.manager
