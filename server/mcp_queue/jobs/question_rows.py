"""The questions of running jobs in the registry, with their answers.

The first answer wins: one guarded update stores it on disk before the run or a client is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_queue import clock, forms
from mcp_queue.answers import Answer
from mcp_queue.errors import InvalidAnswerError, PersonAloneError, QuestionNotOpenError
from mcp_queue.jobs import job_rows, states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.questions import JobQuestion


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer that was not delivered to its run yet."""

    id: int
    run_id: str
    key: str
    answer: Answer


def store(
    registry: Registry, run_id: str, asked: Sequence[JobQuestion], withdrawn: Sequence[str]
) -> None:
    """Store new questions of a running job and remove withdrawn ones, inside a transaction.

    A question that is stored already does not change, as the events of a run may be read twice. A
    question that was answered before it was withdrawn stays: its run waits for the answer.
    """
    now = clock.wall()
    for question in asked:
        registry.execute(
            "INSERT OR IGNORE INTO questions (seq, run_id, key, message, schema, person, asked_at)"
            " SELECT seq, run_id, ?, ?, ?, ?, ? FROM jobs WHERE run_id = ? AND status = 'running'",
            (
                question.key, question.message, json.dumps(question.schema), int(question.person),
                now, run_id,
            ),
        )  # fmt: skip
    for key in withdrawn:
        registry.execute(
            "DELETE FROM questions WHERE run_id = ? AND key = ? AND action IS NULL", (run_id, key)
        )
    registry.execute(
        "UPDATE jobs SET updated_at = ?, rev = ? WHERE run_id = ? AND status = 'running'",
        (now, registry.next("rev"), run_id),
    )


def answer(
    registry: Registry,
    job_id: str,
    key: str | None,
    action: str,
    content: object,
    *,
    person: bool = False,
) -> JobRecord:
    """Answer an open question, durably. ``key`` may be left out if only one is open.

    ``person``: the person gave the answer, without an agent. Errors: `JobNotFoundError`,
    `QuestionNotOpenError`, `PersonAloneError`, `InvalidAnswerError`.
    """
    with registry.transaction("answer"):
        record = job_rows.get(registry, job_id)
        question = _open_question(registry, record, key)
        if question.person and not person:
            raise PersonAloneError(job_id=job_id, key=question.key)
        given = _check_answer(record, question, action, content)
        now = clock.wall()
        registry.execute(
            "UPDATE questions SET action = ?, content = ? WHERE action IS NULL AND key = ?"
            " AND seq = (SELECT seq FROM jobs WHERE job_id = ?)",
            (given.action, _stored(given), question.key, job_id),
        )
        registry.execute(
            "UPDATE jobs SET updated_at = ?, rev = ? WHERE job_id = ?",
            (now, registry.next("rev"), job_id),
        )
        return job_rows.get(registry, job_id)


def to_deliver(registry: Registry) -> list[Delivery]:
    """The answers that were not delivered to their runs yet, in the order of asking."""
    rows = registry.rows(
        "SELECT id, run_id, key, action, content FROM questions"
        " WHERE action IS NOT NULL AND NOT delivered ORDER BY id"
    )
    return [
        Delivery(row, run_id, key, Answer(action, json.loads(content or "null")))
        for row, run_id, key, action, content in rows
    ]


def answered(registry: Registry, run_id: str) -> set[str]:
    """The keys of a run's questions that have an answer."""
    rows = registry.rows(
        "SELECT key FROM questions WHERE run_id = ? AND action IS NOT NULL", (run_id,)
    )
    return {row[0] for row in rows}


def delivered(registry: Registry, answers: Sequence[Delivery]) -> None:
    """Mark these answers as written to ``control.jsonl``."""
    with registry.transaction(durable=False):
        for each in answers:
            registry.execute("UPDATE questions SET delivered = 1 WHERE id = ?", (each.id,))


def _open_question(registry: Registry, record: JobRecord, key: str | None) -> JobQuestion:
    found = [each for each in record.questions if key is None or each.key == key]
    if len(found) == 1:
        return found[0]
    to = "" if key is None else f" to {key!r:.200}"
    keys = ", ".join(repr(each.key) for each in record.questions)
    advice = f"Its open questions are {keys}." if keys else "queue_get_job_status shows the job."
    if record.terminal:
        reason = f"it is {record.status}"
    elif record.stop_requested:
        reason = "it is being stopped"
    elif found:
        reason = f"it asks {len(found)} questions at once, so the key has to say which"
    elif action := registry.value(
        "SELECT action FROM questions JOIN jobs USING (seq) WHERE job_id = ? AND key = ?",
        (record.job_id, key),
    ):
        reason = f"that was answered already ({action})"
    elif key is None or record.status != states.RUNNING:
        reason = f"it asks nothing, it is {record.status}"
    else:
        reason = "it asks no such question, or asks it no more"
    raise QuestionNotOpenError(job_id=record.job_id, to=to, reason=reason, advice=advice)


def _stored(answer: Answer) -> str | None:
    return json.dumps(answer.content) if answer.action == "accept" else None


def _check_answer(record: JobRecord, question: JobQuestion, action: str, content: object) -> Answer:
    given, problems = question.check(action, content)
    if not problems:
        return given
    raise InvalidAnswerError(
        job_id=record.job_id,
        key=question.key,
        problems="; ".join(problems),
        advice=f"content takes {forms.allowed(question.schema)}.",
    )
