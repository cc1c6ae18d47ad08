"""Attempts: a job that lost its worker waits for another attempt, if its command allows that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue import clock

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry


def attempts(registry: Registry, run_id: str) -> tuple[int, int]:
    """The number of the attempt ``run_id``, and the number of attempts that its job may have."""
    rows = registry.rows("SELECT attempt, max_attempts FROM jobs WHERE run_id = ?", (run_id,))
    return rows[0] if rows else (1, 1)


def retry(registry: Registry, run_id: str, *, why: str, boot: str, due: float) -> bool:
    """Let the job wait for its next attempt, durably; call this when the whole run has ended.

    Progress starts from 0, and ``why`` is the description until the next attempt sets one. The lost
    run stays the job's latest until then, so that its logs can be read. ``due``: the time of the
    next attempt, in monotonic seconds of the boot ``boot``. False, without a change, if the job has
    no attempt left, has a stop request, or has ended.
    """
    with registry.transaction():
        back = registry.changed(
            "UPDATE jobs SET status = 'pending', attempt = attempt + 1, false_starts = 0,"
            " started_at = NULL, progress = 0, description = ?, not_before = ?,"
            " not_before_boot = ?, updated_at = ?, rev = ? WHERE run_id = ?"
            " AND status = 'running' AND NOT stop_requested AND attempt < max_attempts",
            (why, due, boot, clock.wall(), registry.next("rev"), run_id),
        )
        if back:
            registry.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
    return bool(back)


def next_due(registry: Registry, after: float) -> float | None:
    """When the first attempt after ``after`` is due, in monotonic seconds."""
    return registry.value(
        "SELECT min(not_before) FROM jobs WHERE status = 'pending' AND not_before > max(?, 0)",
        (after,),
    )


def deleted_while_waiting(registry: Registry) -> list[str]:
    """The lost runs of jobs that were deleted between two attempts; each is returned only once."""
    where = "WHERE status = 'deleted' AND not_before > 0"
    run_ids = [row[0] for row in registry.rows(f"SELECT run_id FROM jobs {where}")]
    if run_ids:
        with registry.transaction(durable=False):
            registry.execute(f"UPDATE jobs SET not_before = NULL, not_before_boot = NULL {where}")
    return run_ids


def forget_other_boots(registry: Registry, boot: str, latest: float) -> None:
    """Make jobs due that waited for their next attempt in an earlier boot.

    The monotonic clock of that boot is gone. On systems without boot ids, a job that is due after
    ``latest`` is from an earlier boot.
    """
    with registry.transaction(durable=False):
        registry.execute(
            "UPDATE jobs SET not_before = NULL, not_before_boot = NULL"
            " WHERE status = 'pending' AND not_before > 0"
            " AND (not_before_boot <> ? OR (not_before_boot = '' AND not_before > ?))",
            (boot, latest),
        )
