"""Questions to the person at the client, and their answers."""

from __future__ import annotations

from mcp_queue import forms
from mcp_queue.answers import Answer
from mcp_queue.errors import AskTimeoutError, InvalidQuestionError, NobodyToAskError
from mcp_queue.forms import SCHEMA_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any, Protocol

    from mcp_queue.commands.form_schema import Reading
    from mcp_queue.questions import JobQuestion

    class Asking(Protocol):
        """Carries questions to the person and brings the answers, each under its key.

        A sink's method ``asking`` gives it; a sink without one can ask nobody.
        """

        def ask(
            self, questions: Sequence[JobQuestion], timeout: float | None
        ) -> dict[str, Answer]: ...

        async def ask_async(
            self, questions: Sequence[JobQuestion], timeout: float | None
        ) -> dict[str, Answer]: ...


KEY_LIMIT = 64  # characters
ALONE = "is for the person alone: a form of the host, or a program for the person, answers it"
_KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Question:
    """One of several questions that are asked at once: a message, and what may be answered.

    ``schema`` is a flat pydantic model, a ``{name: type}``, or None for yes or no. ``person``: only
    the person can answer, in a form; an agent's call of a tool is refused.
    """

    __slots__ = ("message", "person", "schema")

    def __init__(self, message: str, schema: object = None, *, person: bool = False) -> None:
        self.message = message
        self.schema = schema
        self.person = person

    def __repr__(self) -> str:
        return f"Question({self.message!r}, {self.schema!r})"


def with_forms(
    questions: Mapping[str, Question],
) -> tuple[list[JobQuestion], dict[str, Reading]]:
    """The questions as they are asked, and how to read the values of each answer.

    Raises InvalidQuestionError, which says what cannot be asked.
    """
    if not questions:
        raise _invalid("ask_all", "there is no question")
    for key in questions:
        if not key or len(key) > KEY_LIMIT or not _KEY_CHARACTERS.issuperset(key):
            raise _invalid(
                key, f"a key has 1 to {KEY_LIMIT} letters, digits, '_' or '-', got {key!r:.80}"
            )
    asked: list[JobQuestion] = []
    readers: dict[str, Reading] = {}
    for key, question in questions.items():
        form, readers[key] = _with_form(key, question)
        asked.append(form)
    return asked, readers


def answered(
    readers: Mapping[str, Reading], ask: Callable[[], Mapping[str, Answer]]
) -> dict[str, Answer]:
    """The answers that ``ask`` brings, with the values that their command gets."""
    try:
        return _read(readers, ask())
    except AskTimeoutError as error:
        error.answers = _read(readers, error.answers)
        raise


async def answered_async(
    readers: Mapping[str, Reading], asked: Awaitable[Mapping[str, Answer]]
) -> dict[str, Answer]:
    """The same for answers that are awaited."""
    try:
        return _read(readers, await asked)
    except AskTimeoutError as error:
        error.answers = _read(readers, error.answers)
        raise


def _read(readers: Mapping[str, Reading], answers: Mapping[str, Answer]) -> dict[str, Answer]:
    return {
        key: Answer("accept", readers[key](answer.content)) if answer.action == "accept" else answer
        for key, answer in answers.items()
    }


def _with_form(key: str, question: Question) -> tuple[JobQuestion, Reading]:
    from mcp_queue.questions import JobQuestion

    message, person = question.message, bool(question.person)
    if not isinstance(message, str) or not message.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _invalid(key, f"its message is the text that the person reads, got {message!r:.80}")
    if len(message) > forms.MESSAGE_LIMIT:
        limit = f"at most {forms.MESSAGE_LIMIT:,} characters"
        raise _invalid(key, f"its message has {len(message):,} characters, {limit} are shown")
    if question.schema is None:
        return JobQuestion(key, message, forms.CONFIRM, person), dict
    from mcp_queue.commands.form_schema import form_schema

    schema, read, fault = form_schema(question.schema)
    fault = fault or forms.fault_in(schema) or _too_large(schema)
    if fault is not None:
        raise _invalid(key, fault)
    return JobQuestion(key, message, schema, person), read


def _too_large(schema: dict[str, Any]) -> str | None:
    from json import dumps

    size = len(dumps(schema))
    return f"it takes {size:,} bytes, at most {SCHEMA_LIMIT:,}" if size > SCHEMA_LIMIT else None


def nobody(questions: Sequence[JobQuestion], reason: str, advice: str | None = None) -> Exception:
    """The error of questions that reach nobody."""
    advice = advice or _how_to_reach(questions)
    return NobodyToAskError(message=questions[0].message, reason=reason, advice=advice)


def _how_to_reach(questions: Sequence[JobQuestion]) -> str:
    alone = [question.key for question in questions if question.person]
    if len(alone) < len(questions):
        queue = "Queue the command: then any client can answer, at any time"
        names = ", ".join(map(repr, alone))
        return f"{queue}; but {names} {ALONE}." if alone else f"{queue}."
    return (
        f"This {ALONE}. Call the command from a host that shows forms, or queue it: then it "
        "waits for either."
    )


def _invalid(key: str, reason: str) -> Exception:
    return InvalidQuestionError(key=key, reason=reason)
