"""Deletion: a deleted job becomes a tombstone with the reason, until its retention ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.jobs import steady

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry


def make_tombstone(registry: Registry, job_id: str, reason: str) -> bool:
    """Turn a job into a tombstone, inside a transaction; False if it is one, or does not exist.

    The supervisor ends its run, if it has one.
    """
    now = clock.wall()
    return bool(
        registry.changed(
            "UPDATE jobs SET status = 'deleted', reason = ?,"
            " finished_at = coalesce(finished_at, ?), kept_since = ?, updated_at = ?, rev = ?,"
            " origin = NULL, seal = NULL, params = '{}', call = '{}', result = NULL,"
            " result_size = NULL, description = '', error_code = NULL, error_message = NULL"
            " WHERE job_id = ? AND status <> 'deleted'",
            (reason, now, steady.now(registry), now, registry.next("rev"), job_id),
        )
    )
