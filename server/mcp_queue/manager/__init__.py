"""The queue for Python programs: `QueueManager`."""

from __future__ import annotations

from mcp_queue.manager.queue_manager import QueueManager

__all__ = ["QueueManager"]
