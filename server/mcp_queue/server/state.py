"""What the handlers of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from mcp_queue.server.following.tasks import FollowedTasks

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.following.hub import Hub

THREADS = 32  # functions of authors without async that run at once


@dataclass(frozen=True)
class State:
    """The commands, the queue, and the hub for its changes."""

    catalog: Catalog
    queue: QueueManager
    hub: Hub
    tasks: FollowedTasks = field(default_factory=FollowedTasks)
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(THREADS))
    """What authors wrote without async runs in these."""
