"""The global queue manager, for programs that need only one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.config import load_settings
from mcp_queue.errors import ManagerMissingError
from mcp_queue.manager.queue_manager import QueueManager

if TYPE_CHECKING:
    from pathlib import Path

_manager: QueueManager | None = None


async def init_global_queue_manager(
    registry_path: str | Path | None = None,
    shutdown_timeout: float = 30.0,
    max_concurrent_jobs: int = 10,
    in_memory: bool = True,
    max_queue_size: int | None = None,
    per_job_type_limits: dict[str, int] | None = None,
    completed_job_retention_seconds: float = 21600,
) -> QueueManager:
    """Open the global manager with these settings, and first close the earlier one, if any."""
    global _manager  # noqa: PLW0603 - one manager for the program
    if _manager is not None:
        await shutdown_global_queue_manager()
    settings = load_settings(
        None,
        {},
        {
            "registry_path": str(registry_path) if registry_path is not None else None,
            "shutdown_timeout": shutdown_timeout,
            "max_concurrent_jobs": max_concurrent_jobs,
            "in_memory": in_memory,
            "max_queue_size": max_queue_size,
            "per_job_type_limits": per_job_type_limits,
            "completed_job_retention_seconds": completed_job_retention_seconds,
        },
    )
    _manager = await QueueManager.open(settings)
    return _manager


def get_global_queue_manager() -> QueueManager:
    """The global manager. Raises `ManagerMissingError` if there is none.

    ``await get_global_queue_manager()``, the documented form, returns the same manager.
    """
    if _manager is None:
        raise ManagerMissingError()
    return _manager


async def shutdown_global_queue_manager() -> None:
    """Close the global manager, if any, and wait for in-memory jobs to end."""
    global _manager
    manager, _manager = _manager, None
    if manager is not None:
        await manager.close()
