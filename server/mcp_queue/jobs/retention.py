"""Find and remove jobs that ended, or were deleted, longer ago than their retention.

Ages are steady seconds (`steady`), so no job expires early when the clock is set. Pending and
running jobs have no age. A job whose run may still live stays until the run is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.jobs import setting_rows, steady

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

KEEP = 0.0  # seconds of retention that mean for ever
CHECK_LIMITS = (0.05, 3600.0)  # seconds between two checks for expired jobs
CHECKS = 6  # checks per retention


def seconds(registry: Registry) -> float:
    """The retention in force; `KEEP` if jobs are retained for ever."""
    return setting_rows.in_force(registry).completed_job_retention_seconds


def check_interval(retention: float) -> float:
    """Seconds between two checks for expired jobs."""
    low, high = CHECK_LIMITS
    return min(max(retention / CHECKS, low), high)


def due_in(registry: Registry) -> float | None:
    """Seconds until the next job expires, not above 0 if one has; None if none will."""
    retention = seconds(registry)
    return _left(registry, retention) if retention != KEEP else None


def remove_expired(registry: Registry, retention: float, limit: int) -> list[str | None]:
    """Remove up to ``limit`` jobs, durably; returns the ids of their runs.

    The folders of the runs may be removed after that. A job without a run is None in the list.
    """
    if (left := _left(registry, retention)) is None or left > 0:
        with registry.transaction(durable=False):
            steady.store(registry)
        return []
    with registry.transaction("retain"):
        before = steady.store(registry) - retention
        removed = registry.rows(
            "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE kept_since <= ?"
            " AND seq NOT IN (SELECT seq FROM runs) ORDER BY kept_since LIMIT ?) RETURNING run_id",
            (before, limit),
        )
    return [run_id for (run_id,) in removed]


def _left(registry: Registry, retention: float) -> float | None:
    oldest = registry.value("SELECT min(kept_since) FROM jobs WHERE kept_since IS NOT NULL")
    return oldest + retention - steady.read(registry) if oldest is not None else None
