"""Short ways to put jobs into a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.jobs import job_rows, run_rows
from mcp_queue.jobs.job_rows import NewJob

if TYPE_CHECKING:
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.jobs.registry import Registry


def new_job(
    job_id: str,
    *,
    start: bool = True,
    timeout: float | None = None,
    job_type: str = "command",
    max_attempts: int = 1,
) -> NewJob:
    """A valid job."""
    return NewJob(
        job_id=job_id,
        command=job_type,
        job_type=job_type,
        params='{"secret": 1}',
        call="{}",
        origin='{"env": {"SECRET": "1"}}',
        timeout=timeout,
        start=start,
        max_attempts=max_attempts,
    )


def add(registry: Registry, *job_ids: str, start: bool = True) -> JobRecord:
    """Add jobs; the record of the last."""
    return [job_rows.add(registry, new_job(job_id, start=start)) for job_id in job_ids][-1]


def running(registry: Registry, job_id: str, run_id: str = "") -> str:
    """Add a job and claim it; the id of its run. Nothing else may wait."""
    add(registry, job_id)
    [claim] = run_rows.claim(registry, [run_id or f"run-of-{job_id}"])
    assert claim.job_id == job_id
    return claim.run_id
