"""Limit the number of jobs that have not ended: of all types, and of one type.

The limits in the settings written last hold for all servers of the registry. The transaction that
adds a job enforces them, so a burst cannot exceed them. The cost does not grow with the number of
jobs: triggers count them, and indexes find the oldest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueBoundError, QueueFullError
from mcp_queue.jobs import setting_rows
from mcp_queue.jobs.shared_settings import MOST_JOBS
from mcp_queue.jobs.tombstones import make_tombstone

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.shared_settings import SharedSettings

REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``value`` jobs that have not ended, of ``job_type`` or of any (None)."""

    key: str
    value: int
    job_type: str | None = None

    @property
    def name(self) -> str:
        """The setting as it is named in a message."""
        return self.key if self.job_type is None else f"{self.key}[{self.job_type!r}]"

    def excess(self, registry: Registry) -> int:
        """The number of jobs over the limit."""
        if self.job_type is None:
            totals = "SELECT sum(n) FROM totals WHERE status IN ('pending', 'running')"
            count = registry.value(totals)
        else:
            count = registry.value("SELECT n FROM not_ended WHERE job_type = ?", (self.job_type,))
        return max(0, (count or 0) - self.value)

    def oldest(self, registry: Registry, count: int) -> list[str]:
        """The ids of the jobs that were added first."""
        where, bindings = "finished_at IS NULL", ()
        if self.job_type is not None:
            where, bindings = f"{where} AND job_type = ?", (self.job_type,)
        rows = registry.rows(
            f"SELECT job_id FROM jobs WHERE {where} ORDER BY seq LIMIT ?", (*bindings, count)
        )
        return [job_id for (job_id,) in rows]


def enforce(registry: Registry, job_type: str) -> bool:
    """Delete jobs over the limits, in the transaction that added a job of this type.

    The oldest jobs of the type are deleted first; then, if there are still too many jobs, the
    oldest of all. Under the policy ``reject`` none is deleted and `QueueFullError` is raised, so
    that the job is not added. Over `MOST_JOBS` any policy raises `QueueBoundError`. Returns whether
    a job was deleted.
    """
    settings, evicted = setting_rows.in_force(registry), False
    for limit in _limits(settings, job_type):
        excess = limit.excess(registry)
        if excess and settings.queue_full_policy == REJECT:
            raise QueueFullError(limit=limit.name, value=limit.value)
        for job_id in limit.oldest(registry, excess) if excess else ():
            make_tombstone(registry, job_id, f"evicted by {limit.key}")
            evicted = True
    if Limit("the bound", MOST_JOBS).excess(registry):
        raise QueueBoundError(value=MOST_JOBS)
    return evicted


def _limits(settings: SharedSettings, job_type: str) -> list[Limit]:
    limits: list[Limit] = []
    of_types = settings.per_job_type_limits or {}
    if job_type in of_types:
        limits.append(Limit("per_job_type_limits", of_types[job_type], job_type))
    if settings.max_queue_size is not None:
        limits.append(Limit("max_queue_size", settings.max_queue_size))
    return limits
