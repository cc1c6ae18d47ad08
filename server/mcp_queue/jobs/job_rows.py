"""Operations of clients on jobs in the registry: add, start, request a stop, delete, read.

Each change is one guarded update in one transaction. Of two competing changes, the second finds its
guard false, and reports the state that the first has set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import apsw

from mcp_queue import clock
from mcp_queue.errors import InvalidJobStateError, JobAlreadyExistsError, JobNotFoundError
from mcp_queue.jobs import limits, states, steady
from mcp_queue.jobs.record import COLUMNS, JOB_ID, JobRecord, from_row, start_order_of
from mcp_queue.jobs.tombstones import make_tombstone
from mcp_queue.system import crash

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

POSITIONS = 100  # positions in the queue that are counted; further ones are "100+"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A validated job to add. ``params``, ``call`` and ``origin`` are JSON texts."""

    job_id: str
    command: str
    job_type: str
    params: str
    call: str
    origin: str
    timeout: float | None
    start: bool
    max_attempts: int = 1
    memory_limit: int | None = None
    seal: str | None = None
    """The seal (`seals.of_job`). A job without one is not run."""


def add(registry: Registry, job: NewJob) -> JobRecord:
    """Add a job, started or not, durably. Delete other jobs if a limit requires that.

    Raises `JobAlreadyExistsError` if its id is in use, and `QueueFullError` if a limit refuses it.
    """
    with registry.transaction("submit"):
        now = clock.wall()  # inside the transaction, so that times have the order of the jobs
        order = registry.next("start_order") if job.start else None
        try:
            registry.execute(
                "INSERT INTO jobs (job_id, command, job_type, status, rev, start_order, timeout,"
                " max_attempts, memory_limit, created_at, updated_at, params, call, origin,"
                " seal) VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.job_id, job.command, job.job_type, registry.next("rev"), order,
                    job.timeout, job.max_attempts, job.memory_limit, now, now,
                    job.params, job.call, job.origin, job.seal,
                ),
            )  # fmt: skip
        except apsw.ConstraintError as error:
            raise JobAlreadyExistsError(job_id=job.job_id) from error
        evicted = limits.enforce(registry, job.job_type)
        record = get(registry, job.job_id)
        if evicted:
            crash.point("evict.before_commit")
    if evicted:
        crash.point("evict.after_commit")
    return record


def start(registry: Registry, job_id: str) -> JobRecord:
    """Let an added job wait for a slot.

    Raises `InvalidJobStateError` unless it is pending and not started.
    """
    with registry.transaction():
        order, rev = registry.next("start_order"), registry.next("rev")
        if not registry.changed(
            "UPDATE jobs SET start_order = ?, rev = ?, updated_at = ?"
            " WHERE job_id = ? AND status = 'pending' AND start_order IS NULL",
            (order, rev, clock.wall(), job_id),
        ):
            raise _refusal(get(registry, job_id), "started")
        return get(registry, job_id)


def request_stop(registry: Registry, job_id: str) -> JobRecord:
    """Stop a pending job at once, or request the supervisor to stop a running job.

    A second request changes nothing. Raises `InvalidJobStateError` if the job has ended.
    """
    with registry.transaction("stop"):
        now = clock.wall()
        rev = registry.next("rev")
        if registry.changed(
            "UPDATE jobs SET status = 'stopped', stop_requested = 1, finished_at = ?,"
            " kept_since = ?, updated_at = ?, rev = ?, origin = NULL, seal = NULL"
            " WHERE job_id = ? AND status = 'pending'",
            (now, steady.now(registry), now, rev, job_id),
        ) or registry.changed(
            "UPDATE jobs SET stop_requested = 1, updated_at = ?, rev = ?"
            " WHERE job_id = ? AND status = 'running' AND NOT stop_requested",
            (now, rev, job_id),
        ):
            return get(registry, job_id)
        record = get(registry, job_id)
        if record.status != states.RUNNING:
            raise _refusal(record, "stopped")
        return record


def delete(registry: Registry, job_id: str, reason: str) -> tuple[JobRecord, JobRecord]:
    """Turn a job into a tombstone; the records before and after. The supervisor kills its run.

    Raises `JobNotFoundError`, and `InvalidJobStateError` if the job is already deleted.
    """
    with registry.transaction("delete"):
        before = get(registry, job_id)
        if not make_tombstone(registry, job_id, reason):
            raise _refusal(before, "deleted")
        return before, get(registry, job_id)


def get(registry: Registry, job_id: str) -> JobRecord:
    """The job or its tombstone. Raises `JobNotFoundError`."""
    rows = registry.rows(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?", (job_id,))
    if not rows:
        raise JobNotFoundError(job_id=job_id)
    return _with_position(registry, rows[0])


def get_undeleted(registry: Registry, job_id: str) -> JobRecord:
    """The job. Raises `JobNotFoundError`, and `InvalidJobStateError` if it is deleted."""
    record = get(registry, job_id)
    if record.status == states.DELETED:
        raise _refusal(record, "read")
    return record


def is_destructive(registry: Registry, job_id: str) -> bool:
    """Whether the command was destructive when the job was added. Raises `JobNotFoundError`."""
    get(registry, job_id)
    call = registry.value("SELECT call FROM jobs WHERE job_id = ?", (job_id,))
    return bool(json.loads(call or "{}").get("destructive"))


def changed_since(registry: Registry, rev: int, limit: int) -> list[JobRecord]:
    """The jobs that changed after ``rev``, in the order of their last changes."""
    rows = registry.rows(
        f"SELECT {COLUMNS} FROM jobs WHERE rev > ? ORDER BY rev LIMIT ?", (rev, limit)
    )
    return [_with_position(registry, row) for row in rows]


def page(
    registry: Registry, status: str | None, limit: int, before: int | None
) -> tuple[list[JobRecord], int | None]:
    """Jobs, newest first, and the value of ``before`` for the next page.

    Tombstones are included only with the status ``deleted``.
    """
    if status is None:
        where, bindings = "status <> 'deleted'", ()
    else:
        where, bindings = "status = ?", (status,)
    if before is not None:
        where, bindings = f"{where} AND seq < ?", (*bindings, before)
    rows = registry.rows(
        f"SELECT {COLUMNS}, seq FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?",
        (*bindings, limit + 1),
    )
    records = [_with_position(registry, row[:-1]) for row in rows[:limit]]
    return records, rows[limit - 1][-1] if len(rows) > limit else None


def ids(registry: Registry, prefix: str, limit: int) -> tuple[list[str], int]:
    """Ids that begin with ``prefix``, newest first, and their total number, without tombstones."""
    if not prefix:
        rows = registry.rows(
            "SELECT job_id FROM jobs WHERE status <> 'deleted' ORDER BY seq DESC LIMIT ?", (limit,)
        )
        count = totals(registry)
        return [row[0] for row in rows], sum(count.values()) - count[states.DELETED]
    if JOB_ID.fullmatch(prefix) is None:
        return [], 0
    # '~' sorts after all characters of ids. The plus signs make SQLite use the index of ids.
    where, bounds = "job_id >= ? AND job_id < ? AND +status <> 'deleted'", (prefix, prefix + "~")
    rows = registry.rows(
        f"SELECT job_id FROM jobs WHERE {where} ORDER BY +seq DESC LIMIT ?", (*bounds, limit)
    )
    count = registry.value(f"SELECT count(*) FROM jobs WHERE {where}", bounds)
    return [row[0] for row in rows], count


def _with_position(registry: Registry, row: tuple[Any, ...]) -> JobRecord:
    """The record of a row, with its position in the queue if it waits for a slot."""
    record = from_row(row)
    if not record.queued:
        return record
    ahead = registry.value(
        "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'pending' AND start_order < ?"
        " ORDER BY start_order DESC LIMIT ?)",
        (start_order_of(row), POSITIONS),
    )
    position = ahead + 1 if ahead < POSITIONS else f"{POSITIONS}+"
    return replace(record, queue_position=position)


def totals(registry: Registry) -> dict[str, int]:
    """The number of jobs by status; tombstones have the status ``deleted``."""
    return dict(registry.rows("SELECT status, n FROM totals"))


def unfinished(registry: Registry) -> bool:
    """Whether a supervisor has work: a started job, or a run that may be alive."""
    return bool(
        registry.value(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'pending' AND start_order > 0)"
            " OR EXISTS (SELECT 1 FROM jobs WHERE status = 'running')"
            " OR EXISTS (SELECT 1 FROM runs)"
        )
    )


_ADVICE = {
    "started": "Only a job that was added and not yet started can be started.",
    "stopped": "It has ended already; queue_get_job_status shows its outcome.",
    "deleted": "Nothing is left to delete.",
    "read": "Its result and logs went with it.",
}


def _refusal(record: JobRecord, action: str) -> InvalidJobStateError:
    status = "pending and started already" if record.queued else record.status
    if record.status == states.DELETED:
        status = f"deleted ({record.reason})"
    return InvalidJobStateError(
        job_id=record.job_id, status=status, action=action, advice=_ADVICE[action]
    )
