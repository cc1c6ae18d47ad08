"""The queue for Python programs: `QueueManager`, and calling commands as a client would."""

from __future__ import annotations

from mcp_queue.manager.call import execute_command
from mcp_queue.manager.global_manager import (
    get_global_queue_manager,
    init_global_queue_manager,
    shutdown_global_queue_manager,
)
from mcp_queue.manager.queue_manager import QueueManager

__all__ = [
    "QueueManager",
    "execute_command",
    "get_global_queue_manager",
    "init_global_queue_manager",
    "shutdown_global_queue_manager",
]
