"""Attempts: a job whose worker was lost waits for another one, when its command allows that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue import clock

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry


def attempts(registry: Registry, run_id: str) -> tuple[int, int]:
    """The attempt that ``run_id`` is, and how many its job may make."""
    rows = registry.rows("SELECT attempt, max_attempts FROM jobs WHERE run_id = ?", (run_id,))
    return rows[0] if rows else (1, 1)


def retry(registry: Registry, run_id: str, *, why: str, boot: str, due: float) -> bool:
    """The whole run is gone: its job waits for the next attempt, durably.

    Its progress starts anew and ``why`` is its description until the next attempt says something;
    the lost run stays the job's latest, so that its logs can be read, until then. ``due``:
    monotonic seconds of the boot ``boot``. False, and nothing is changed, when the job has no
    attempt left, was asked to stop, or has ended.
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
    """When the first of the jobs that rest beyond ``after`` is due, in monotonic seconds."""
    return registry.value(
        "SELECT min(not_before) FROM jobs WHERE status = 'pending' AND not_before > max(?, 0)",
        (after,),
    )


def deleted_at_rest(registry: Registry) -> list[str]:
    """The lost runs of jobs that were deleted while they rested; each is told once."""
    where = "WHERE status = 'deleted' AND not_before > 0"
    found = [row[0] for row in registry.rows(f"SELECT run_id FROM jobs {where}")]
    if found:
        with registry.transaction(durable=False):
            registry.execute(f"UPDATE jobs SET not_before = NULL, not_before_boot = NULL {where}")
    return found


def forget_other_boots(registry: Registry, boot: str, latest: float) -> None:
    """What rested when the machine went down is due: its clock has started anew.

    Where boots have no id, what is due after ``latest`` was put to rest in another one.
    """
    with registry.transaction(durable=False):
        registry.execute(
            "UPDATE jobs SET not_before = NULL, not_before_boot = NULL"
            " WHERE status = 'pending' AND not_before > 0"
            " AND (not_before_boot <> ? OR (not_before_boot = '' AND not_before > ?))",
            (boot, latest),
        )
