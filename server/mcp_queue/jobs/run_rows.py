"""Operations of the supervisor on jobs and runs in the registry: claim, record, finish."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mcp_queue import clock
from mcp_queue.jobs import artifact_rows, question_rows, states, steady
from mcp_queue.system.identity import boot_of, own_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_queue.jobs.registry import Registry
    from mcp_queue.questions import JobQuestion

FALSE_STARTS = 3  # so many workers in a row that died before user code cost the job its attempt


@dataclass(frozen=True, slots=True)
class Claim:
    """A job bound to a new run without a process. ``params``, ``call``, ``origin``: JSON texts."""

    run_id: str
    seq: int
    job_id: str
    command: str
    attempt: int
    timeout: float | None
    memory_limit: int | None
    params: str
    call: str
    origin: str
    previous_run_id: str | None
    """The run of the previous attempt, whose folder can be removed; None for a first attempt."""
    max_attempts: int
    seal: str | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run that may have a living process."""

    run_id: str
    seq: int
    attempt: int
    boot: str
    """The boot of the machine. After another boot, the progress of the run is unknown."""
    identity: str | None
    started: bool
    events_offset: int
    job_id: str
    job_status: str
    job_run_id: str | None
    began: float
    """When it was claimed, in monotonic seconds of its boot."""
    timeout: float | None
    memory_limit: int | None
    seal: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended. ``result``: JSON text; None if the result is in the run's result.json."""

    status: str
    error_code: str | None = None
    error_message: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    result: str | None = None
    result_size: int | None = None


def claim(registry: Registry, run_ids: list[str], due: float | None = None) -> list[Claim]:
    """Bind the jobs that wait longest to the new ``run_ids``, one each, durably.

    Durably, because a job that ran must not be pending after a power cut. A job between two
    attempts is included if it is due at ``due``, in monotonic seconds (None: now).
    """
    boot = boot_of(own_identity())
    claims: list[Claim] = []
    with registry.transaction("claim"):
        now = clock.wall()
        waiting = registry.rows(
            "SELECT seq, job_id, command, attempt, timeout, memory_limit, params, call, origin,"
            " run_id, max_attempts, seal FROM jobs WHERE status = 'pending'"
            " AND start_order IS NOT NULL AND coalesce(not_before, 0) <= ?"
            " ORDER BY start_order LIMIT ?",
            (clock.monotonic() if due is None else due, len(run_ids)),
        )
        for run_id, row in zip(run_ids, waiting, strict=False):
            seq, _, _, attempt, *_ = row
            registry.execute(
                "UPDATE jobs SET status = 'running', run_id = ?, started_at = ?, updated_at = ?,"
                " not_before = NULL, not_before_boot = NULL, rev = ?"
                " WHERE seq = ? AND status = 'pending'",
                (run_id, now, now, registry.next("rev"), seq),
            )
            registry.execute(
                "INSERT INTO runs (run_id, seq, attempt, boot, began) VALUES (?, ?, ?, ?, ?)",
                (run_id, seq, attempt, boot, clock.monotonic()),
            )
            claims.append(Claim(run_id, *row))
    return claims


def waiting(registry: Registry, due: float | None = None) -> bool:
    """Whether `claim` would find a job; this only reads."""
    return bool(
        registry.value(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'pending' AND start_order > 0"
            " AND coalesce(not_before, 0) <= ?)",
            (clock.monotonic() if due is None else due,),
        )
    )


def record_spawn(registry: Registry, run_id: str, identity: str, seal: str | None = None) -> None:
    """Record the worker's identity and its seal (`seals.of_run`), before its gate is opened."""
    with registry.transaction(durable=False):
        registry.execute(
            "UPDATE runs SET identity = ?, seal = ? WHERE run_id = ?", (identity, seal, run_id)
        )


def record_events(
    registry: Registry,
    run_id: str,
    offset: int | None,
    *,
    started: bool,
    progress: float | None,
    description: str | None,
    asked: Sequence[JobQuestion] = (),
    withdrawn: Sequence[str] = (),
    artifacts: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """Store the content of a run's events up to byte ``offset`` (None: the offset stays).

    Returns the files of artifacts that were replaced.
    """
    with registry.transaction(durable=False):
        registry.execute(
            "UPDATE runs SET events_offset = coalesce(?, events_offset), started = started OR ?"
            " WHERE run_id = ?",
            (offset, int(started), run_id),
        )
        if started:
            registry.execute("UPDATE jobs SET false_starts = 0 WHERE run_id = ?", (run_id,))
        if asked or withdrawn:
            question_rows.store(registry, run_id, asked, withdrawn)
        replaced = artifact_rows.record(registry, run_id, artifacts) if artifacts else []
        if progress is not None or description is not None or artifacts:
            registry.execute(
                "UPDATE jobs SET progress = coalesce(?, progress),"
                " description = coalesce(?, description), updated_at = ?, rev = ?"
                " WHERE run_id = ? AND status = 'running'",
                (progress, description, clock.wall(), registry.next("rev"), run_id),
            )
    return replaced


def finish(registry: Registry, run_id: str, ending: Ending, *, gone: bool) -> bool:
    """End the job that is bound to ``run_id``, durably, unless it has already ended.

    ``gone``: all processes of the run are dead, so its slot is free. A job with a stop request
    always ends as stopped, and keeps its result. Returns whether this call ended the job.
    """
    with registry.transaction("settle"):
        now = clock.wall()
        if registry.value("SELECT stop_requested FROM jobs WHERE run_id = ?", (run_id,)):
            ending = replace(ending, status=states.STOPPED, error_code=None, error_message=None)
        ended = registry.changed(
            "UPDATE jobs SET status = ?, error_code = ?, error_message = ?, exit_code = ?,"
            " signal = ?, result = ?, result_size = ?, finished_at = ?, kept_since = ?,"
            " updated_at = ?, rev = ?,"
            " origin = NULL, seal = NULL,"
            " progress = CASE ? WHEN 'completed' THEN 100 ELSE progress END"
            " WHERE run_id = ? AND status = 'running'",
            (
                ending.status, ending.error_code, ending.error_message, ending.exit_code,
                ending.signal, ending.result, ending.result_size, now, steady.now(registry), now,
                registry.next("rev"), ending.status, run_id,
            ),
        )  # fmt: skip
        if gone:
            registry.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
    return bool(ended)


def forget(registry: Registry, run_id: str) -> None:
    """Remove a run whose processes are all dead and whose job has ended: its slot is free."""
    with registry.transaction(durable=False):
        registry.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))


def put_back(registry: Registry, run_id: str, *, counted: bool = True) -> bool:
    """Let a job wait again, in the same attempt and position, after a run without user code.

    ``counted``: this counts as a false start, because the worker and not a supervisor failed.
    False, without a change, at the `FALSE_STARTS`th false start in a row, or if the job has a stop
    request or has ended.
    """
    with registry.transaction():
        now = clock.wall()
        back = registry.changed(
            "UPDATE jobs SET status = 'pending', false_starts = false_starts + ?, run_id = NULL,"
            " started_at = NULL, updated_at = ?, rev = ? WHERE run_id = ? AND status = 'running'"
            " AND NOT stop_requested AND false_starts + ? < ?",
            (int(counted), now, registry.next("rev"), run_id, int(counted), FALSE_STARTS),
        )
        if back:
            registry.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
    return bool(back)


def without_run(registry: Registry) -> list[str]:
    """Run ids of running jobs without a row in ``runs``; this program never leaves such jobs."""
    rows = registry.rows(
        "SELECT run_id FROM jobs WHERE finished_at IS NULL AND status = 'running'"
        " AND run_id NOT IN (SELECT run_id FROM runs)"
    )
    return [run_id for (run_id,) in rows]


def all_runs(registry: Registry) -> list[RunRow]:
    """Every run that may have a living process, with fields of its job."""
    rows = registry.rows(
        "SELECT r.run_id, r.seq, r.attempt, r.boot, r.identity, r.started, r.events_offset,"
        " j.job_id, j.status, j.run_id, r.began, j.timeout, j.memory_limit,"
        " r.seal"
        " FROM runs r JOIN jobs j USING (seq)"
    )
    return [RunRow(*row) for row in rows]


def to_end(registry: Registry) -> list[tuple[str, bool]]:
    """The runs whose jobs have a stop request or are deleted, and whether they are deleted."""
    rows = registry.rows(
        "SELECT r.run_id, j.status = 'deleted' FROM runs r JOIN jobs j USING (seq)"
        " WHERE (j.status = 'running' AND j.stop_requested) OR j.status = 'deleted'"
    )
    return [(run_id, bool(deleted)) for run_id, deleted in rows]


def is_needed(registry: Registry, run_id: str) -> bool:
    """Whether the folder of an ended run belongs to a job that is not deleted."""
    return bool(
        registry.value(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE run_id = ? AND status <> 'deleted')", (run_id,)
        )
    )


def known_run_ids(registry: Registry) -> set[str]:
    """The runs whose folders are needed: all in ``runs``, and the latest of each stored job."""
    return {
        row[0]
        for row in registry.rows(
            "SELECT run_id FROM runs UNION"
            " SELECT run_id FROM jobs WHERE run_id IS NOT NULL AND status <> 'deleted'"
        )
    }


def latest_rev(registry: Registry) -> int:
    """The number of the last change."""
    return registry.value("SELECT value FROM counter WHERE name = 'rev'")
