"""Questions to the person at the client, and their answers."""

from __future__ import annotations

from mcp_queue.answers import Answer
from mcp_queue.errors import AskTimeoutError, InvalidQuestionError, NobodyToAskError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any, Protocol

    from mcp_queue.commands.form_schema import Reader
    from mcp_queue.questions import JobQuestion

    class QuestionChannel(Protocol):
        """Sends questions to the person and returns the answers, each under its key.

        `Sink.question_channel` returns it.
        """

        def ask(
            self, questions: Sequence[JobQuestion], timeout: float | None
        ) -> dict[str, Answer]: ...

        async def ask_async(
            self, questions: Sequence[JobQuestion], timeout: float | None
        ) -> dict[str, Answer]: ...


KEY_LIMIT = 64  # characters
PERSON_ONLY = "is for the person only: a form of the host, or a program for the person, answers it"
_KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Question:
    """One of several questions that are asked together: a message, and the form of the answer.

    ``schema`` is a flat pydantic model, a ``{name: type}``, or None for yes or no. ``person``: only
    the person can answer, in a form; an answer by an agent's tool call is refused.
    """

    __slots__ = ("message", "person", "schema")

    def __init__(self, message: str, schema: object = None, *, person: bool = False) -> None:
        self.message = message
        self.schema = schema
        self.person = person

    def __repr__(self) -> str:
        return f"Question({self.message!r}, {self.schema!r})"


def to_job_questions(
    questions: Mapping[str, Question],
) -> tuple[list[JobQuestion], dict[str, Reader]]:
    """The questions with their forms, and a reader for the values of each answer.

    Raises InvalidQuestionError, which names the question that cannot be asked.
    """
    if not questions:
        raise _invalid("ask_all", "there is no question")
    for key in questions:
        if not key or len(key) > KEY_LIMIT or not _KEY_CHARACTERS.issuperset(key):
            raise _invalid(
                key, f"a key has 1 to {KEY_LIMIT} letters, digits, '_' or '-', got {key!r:.80}"
            )
    job_questions: list[JobQuestion] = []
    readers: dict[str, Reader] = {}
    for key, question in questions.items():
        job_question, readers[key] = _to_job_question(key, question)
        job_questions.append(job_question)
    return job_questions, readers


def read_answers(
    readers: Mapping[str, Reader], ask: Callable[[], Mapping[str, Answer]]
) -> dict[str, Answer]:
    """The answers that ``ask`` returns, with their values converted for the command."""
    try:
        return _converted(readers, ask())
    except AskTimeoutError as error:
        error.answers = _converted(readers, error.answers)
        raise


async def read_answers_async(
    readers: Mapping[str, Reader], answers: Awaitable[Mapping[str, Answer]]
) -> dict[str, Answer]:
    """`read_answers` for an awaitable."""
    try:
        return _converted(readers, await answers)
    except AskTimeoutError as error:
        error.answers = _converted(readers, error.answers)
        raise


def _converted(readers: Mapping[str, Reader], answers: Mapping[str, Answer]) -> dict[str, Answer]:
    return {
        key: Answer("accept", readers[key](answer.content)) if answer.action == "accept" else answer
        for key, answer in answers.items()
    }


def _to_job_question(key: str, question: Question) -> tuple[JobQuestion, Reader]:
    from mcp_queue import forms
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
    fault = fault or forms.fault_in(schema) or _size_fault(schema)
    if fault is not None:
        raise _invalid(key, fault)
    return JobQuestion(key, message, schema, person), read


def _size_fault(schema: dict[str, Any]) -> str | None:
    from json import dumps

    from mcp_queue.forms import SCHEMA_LIMIT

    size = len(dumps(schema))
    return f"it takes {size:,} bytes, at most {SCHEMA_LIMIT:,}" if size > SCHEMA_LIMIT else None


def nobody_to_ask(
    questions: Sequence[JobQuestion], reason: str, advice: str | None = None
) -> Exception:
    """The error for questions that nobody can answer."""
    advice = advice or _how_to_reach(questions)
    return NobodyToAskError(message=questions[0].message, reason=reason, advice=advice)


def _how_to_reach(questions: Sequence[JobQuestion]) -> str:
    person_only = [question.key for question in questions if question.person]
    if len(person_only) < len(questions):
        queue = "Queue the command: then any client can answer, at any time"
        names = ", ".join(map(repr, person_only))
        return f"{queue}; but {names} {PERSON_ONLY}." if person_only else f"{queue}."
    return (
        f"This {PERSON_ONLY}. Call the command from a host that shows forms, or queue it: then it "
        "waits for either."
    )


def _invalid(key: str, reason: str) -> Exception:
    return InvalidQuestionError(key=key, reason=reason)
