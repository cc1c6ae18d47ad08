"""A job as readers see it: one row of the registry, frozen."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from mcp_queue import clock
from mcp_queue.jobs import states
from mcp_queue.questions import JobQuestion

NULL_SIZE = len("null")  # bytes of the result of a command that returned nothing
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""The form of job ids, wherever they come from."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed. ``str()`` of it is the message; the traceback is in the job's logs.

    ``code`` is one of ``exception``, ``exit``, ``signal``, ``timeout``, ``interrupted``,
    ``out_of_memory``, ``result_not_serializable``, ``import_error``, ``invalid_params``,
    ``reported``, ``untrusted``.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, str]:
        """``code`` and ``message``."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job at one moment. Times are wall seconds since the epoch, sizes are bytes."""

    job_id: str
    command: str
    status: str
    rev: int
    """The number of its last change. Changes of all jobs are numbered together."""
    progress: float
    """Percent, 0 to 100."""
    description: str
    """What the job says it is doing; at most 1,024 characters."""
    result: Any
    """The result; None if there is none, or if it is too large to be in the record."""
    result_size: int | None
    """Bytes of the result as JSON; None if there is none."""
    error: JobError | None
    attempt: int
    exit_code: int | None
    """The worker's exit code, if it exited without an outcome and a supervisor saw it."""
    signal: str | None
    """The name of the signal that killed the worker, if a supervisor saw it."""
    created_at: float
    started_at: float | None
    finished_at: float | None
    updated_at: float
    reason: str | None
    """Why a deleted job was deleted."""
    run_id: str | None
    """The latest run; its folder contains the logs."""
    queued: bool
    """Pending and started: it waits for a slot."""
    stop_requested: bool
    queue_position: int | str | None = None
    """The position among the jobs that wait for a slot, from 1; after 100, ``"100+"``."""
    stdout_size: int | None = None
    stderr_size: int | None = None
    questions: tuple[JobQuestion, ...] = ()
    """The open questions, in the order of asking."""
    artifact_count: int = 0
    """The number of its artifacts, including the contents of its result."""

    @property
    def terminal(self) -> bool:
        """Whether the job has ended, or is deleted."""
        return self.status in states.TERMINAL

    @property
    def needs_supervisor(self) -> bool:
        """Whether it cannot go on without a supervisor."""
        return self.queued or self.status == states.RUNNING

    @property
    def open_to_agents(self) -> bool:
        """Whether it has an open question that an agent may answer."""
        return any(not question.person for question in self.questions)

    @property
    def elapsed(self) -> float:
        """Seconds since it started, until its end if it has ended; 0 before it starts."""
        if self.started_at is None:
            return 0.0
        until = self.finished_at if self.finished_at is not None else clock.wall()
        return max(0.0, until - self.started_at)

    def to_dict(self) -> dict[str, Any]:
        """The job view of clients: ISO 8601 times in UTC, nulls left out."""
        if self.status == states.DELETED:
            view = {
                "job_id": self.job_id,
                "command": self.command,
                "status": self.status,
                "reason": self.reason,
                "created_at": clock.iso(self.created_at),
                "finished_at": _iso(self.finished_at),
            }
        else:
            view = {
                "job_id": self.job_id,
                "command": self.command,
                "status": self.status,
                "progress": round(self.progress, 2),
                "description": self.description or None,
                "queue_position": self.queue_position,
                "questions": [question.to_dict() for question in self.questions] or None,
                "stop_requested": True if self.stop_requested and not self.terminal else None,
                "result": self.result,
                "result_size": self.result_size if self.result is None else None,
                "error": self.error.to_dict() if self.error else None,
                "exit_code": self.exit_code,
                "signal": self.signal,
                "attempt": self.attempt,
                "created_at": clock.iso(self.created_at),
                "started_at": _iso(self.started_at),
                "finished_at": _iso(self.finished_at),
                "stdout_size": self.stdout_size,
                "stderr_size": self.stderr_size,
            }
        return {key: value for key, value in view.items() if value is not None}


QueueJobResult = JobRecord  # the documented name

COLUMNS = """job_id, command, status, rev, progress, description, result, result_size,
    error_code, error_message, attempt, exit_code, signal, created_at, started_at, finished_at,
    updated_at, reason, run_id, start_order, stop_requested, artifacts,
    CASE WHEN status = 'running' AND NOT stop_requested THEN (
        SELECT json_group_array(json_array(key, message, json(schema), person) ORDER BY id)
        FROM questions WHERE questions.seq = jobs.seq AND action IS NULL) END"""

_START_ORDER = [name.strip() for name in COLUMNS.split(",")].index("start_order")


def start_order_of(row: tuple[Any, ...]) -> int | None:
    """The place of a row selected by ``COLUMNS`` in the order of starts; None if not started."""
    return row[_START_ORDER]


def from_row(row: tuple[Any, ...]) -> JobRecord:
    """The record of a row selected by ``COLUMNS``, without queue position and log sizes."""
    (
        job_id, command, status, rev, progress, description, result, result_size,
        error_code, error_message, attempt, exit_code, signal, created_at, started_at,
        finished_at, updated_at, reason, run_id, start_order, stop_requested, artifacts, questions,
    ) = row  # fmt: skip
    return JobRecord(
        job_id=job_id,
        command=command,
        status=status,
        rev=rev,
        progress=progress,
        description=description,
        result=json.loads(result) if result is not None else None,
        result_size=result_size,
        error=JobError(error_code, error_message) if error_code is not None else None,
        attempt=attempt,
        exit_code=exit_code,
        signal=signal,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        updated_at=updated_at,
        reason=reason,
        run_id=run_id,
        queued=status == states.PENDING and start_order is not None,
        stop_requested=bool(stop_requested),
        questions=tuple(
            JobQuestion(key, message, schema, bool(person))
            for key, message, schema, person in json.loads(questions or "[]")
        ),
        artifact_count=artifacts,
    )


def _iso(seconds: float | None) -> str | None:
    return clock.iso(seconds) if seconds is not None else None
