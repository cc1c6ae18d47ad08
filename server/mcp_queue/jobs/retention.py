"""Which jobs are past their retention: those that ended, or were deleted, long enough ago.

Ages are steady seconds (`steady`), so a clock that is set makes no job expire early. Pending and
running jobs have no age, and a job whose run may still live is kept until it is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.jobs import setting_rows, steady

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

KEEP = 0.0  # seconds of retention that keep for ever
CHECK_LIMITS = (0.05, 3600.0)  # seconds between two looks for what has expired
CHECKS = 6  # in one retention


def seconds(registry: Registry) -> float:
    """The retention in force; `KEEP` when jobs are kept for ever."""
    return setting_rows.in_force(registry).completed_job_retention_seconds


def check_interval(retention: float) -> float:
    """Seconds between two looks for what has expired."""
    low, high = CHECK_LIMITS
    return min(max(retention / CHECKS, low), high)


def due_in(registry: Registry) -> float | None:
    """Seconds until the next job expires, not above 0 if one has; None when none will."""
    retention = seconds(registry)
    return _left(registry, retention) if retention != KEEP else None


def forget_expired(registry: Registry, retention: float, limit: int) -> list[str | None]:
    """Forget up to ``limit`` jobs, durably: their runs, whose folders may go after that.

    A job forgotten without a run is None in the list.
    """
    if (left := _left(registry, retention)) is None or left > 0:
        with registry.transaction(durable=False):
            steady.keep(registry)
        return []
    with registry.transaction("retain"):
        before = steady.keep(registry) - retention
        gone = registry.rows(
            "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE kept_since <= ?"
            " AND seq NOT IN (SELECT seq FROM runs) ORDER BY kept_since LIMIT ?) RETURNING run_id",
            (before, limit),
        )
    return [run_id for (run_id,) in gone]


def _left(registry: Registry, retention: float) -> float | None:
    oldest = registry.value("SELECT min(kept_since) FROM jobs WHERE kept_since IS NOT NULL")
    return oldest + retention - steady.look(registry) if oldest is not None else None
