"""The objects that all handlers of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from mcp_queue.server.following.tasks import FollowedTasks

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.following.notifier import Notifier

THREADS = 32  # functions without async that run at once


@dataclass(frozen=True)
class Services:
    """The commands, the queue, and the notifier for its changes."""

    catalog: Catalog
    queue: QueueManager
    notifier: Notifier
    tasks: FollowedTasks = field(default_factory=FollowedTasks)
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(THREADS))
    """The limit of threads in which functions without async run."""
