"""Read the questions of runs, and deliver the answers.

The process that runs user code writes the events, so everything in them is checked.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from mcp_queue import forms
from mcp_queue.jobs import bell, events, question_rows
from mcp_queue.questions import JobQuestion
from mcp_queue.system import crash

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import Run, State

KEY = re.compile(r"a[0-9]{1,9}\.q[0-9]{1,9}\.[A-Za-z0-9_-]{1,64}", re.ASCII)


def parse_asked(event: dict[str, Any]) -> list[JobQuestion]:
    """The valid questions of an ``ask`` event; others are left out."""
    given: Any = event.get("questions")
    if not isinstance(given, list):
        return []
    questions = (_question(each) for each in cast("list[object]", given))
    return [question for question in questions if question is not None]


def parse_withdrawn(event: dict[str, Any]) -> list[str]:
    """The keys of a ``withdraw`` event."""
    keys: Any = event.get("keys")
    if not isinstance(keys, list):
        return []
    return [key for key in cast("list[object]", keys) if _is_key(key)]


def deliver_answers(state: State) -> None:
    """Write answers to the runs that asked.

    An answer is written again if a supervisor died before it recorded the delivery. If it cannot
    be written now (on a full disk, for example), a later check writes it.
    """
    delivered: list[question_rows.Delivery] = []
    for each in question_rows.to_deliver(state.registry):
        run = state.runs.get(each.run_id)
        if run is None:
            continue
        with suppress(OSError):
            events.append(run.folder.control, events.ANSWER, _line(each))
            bell.ring(run.folder.bell)
            delivered.append(each)
    if delivered:
        crash.point("deliver.before_record")
        question_rows.delivered(state.registry, delivered)
        crash.point("deliver.after_record")


def confirm_withdrawals(state: State, run: Run, withdrawn: list[str]) -> None:
    """Tell a run which of the questions that it withdraws can no longer be answered.

    The run waits for this, or for the answer that came first, for a limited time, as this process
    may die.
    """
    if withdrawn:
        answered = question_rows.answered(state.registry, run.run_id)
        keys: list[object] = [key for key in withdrawn if key not in answered]
        with suppress(OSError):
            events.append(run.folder.control, events.WITHDRAWN, {"keys": keys})
            bell.ring(run.folder.bell)


def _line(delivery: question_rows.Delivery) -> dict[str, object]:
    answer = delivery.answer
    content = answer.content if answer.action == "accept" else None
    return {"key": delivery.key, "action": answer.action, "content": content}


def _question(given: object) -> JobQuestion | None:
    if not isinstance(given, dict):
        return None
    fields = cast("dict[str, Any]", given)
    key, message, schema = (fields.get(name) for name in ("key", "message", "schema"))
    if not _is_key(key) or not isinstance(message, str) or forms.fault_in(schema) is not None:
        return None
    try:
        if len(json.dumps(schema, ensure_ascii=False).encode()) > forms.SCHEMA_LIMIT:
            return None
    except UnicodeEncodeError:  # half of a surrogate pair
        return None
    text = message[: forms.MESSAGE_LIMIT].encode("utf-8", "replace").decode()
    return JobQuestion(key, text, cast("dict[str, Any]", schema), bool(fields.get("person")))


def _is_key(key: object) -> TypeGuard[str]:
    return isinstance(key, str) and KEY.fullmatch(key) is not None
