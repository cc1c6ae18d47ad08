"""Questions to the person at the client, and their answers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any, Protocol

    Reading = Callable[[dict[str, Any]], dict[str, Any]]
    Given = tuple[str, dict[str, Any]]
    """An answer as it travels: the action and the values."""

    class Asking(Protocol):
        """Who carries questions to the person and the answers back, each under its key.

        A sink's method ``asking`` gives it; a sink without one can ask nobody.
        """

        def ask(self, forms: Mapping[str, Form], timeout: float | None) -> dict[str, Given]: ...

        async def ask_async(
            self, forms: Mapping[str, Form], timeout: float | None
        ) -> dict[str, Given]: ...


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


class Answer:
    """What the person answered.

    ``action`` is ``"accept"``, ``"decline"`` (said no to the question) or ``"cancel"`` (closed
    it without a choice). ``content`` holds the values by field, as the types that were asked for,
    and is empty unless accepted; of a question without a schema it is ``{"confirm": True}`` or
    ``{"confirm": False}``. An answer is true when it was accepted and, for yes or no, says yes.
    """

    __slots__ = ("action", "content")

    def __init__(self, action: str, content: dict[str, Any] | None = None) -> None:
        self.action = action
        self.content: dict[str, Any] = content or {}

    def __bool__(self) -> bool:
        return self.action == "accept" and self.content != {"confirm": False}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer):
            return NotImplemented
        return (self.action, self.content) == (other.action, other.content)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"Answer({self.action!r}, {self.content!r})"


class Form:
    """A question as it travels; ``read`` turns the values of an answer into those asked for."""

    __slots__ = ("message", "person", "read", "schema")

    def __init__(
        self, message: str, schema: dict[str, Any], read: Reading, person: bool = False
    ) -> None:
        self.message = message
        self.schema = schema
        self.read = read
        self.person = person


def forms_of(questions: Mapping[str, Question]) -> dict[str, Form]:
    """The questions as forms. Raises InvalidQuestionError, which says what cannot be asked."""
    if not questions:
        raise _invalid("ask_all", "there is no question")
    for key in questions:
        if not key or len(key) > KEY_LIMIT or not _KEY_CHARACTERS.issuperset(key):
            raise _invalid(
                key, f"a key has 1 to {KEY_LIMIT} letters, digits, '_' or '-', got {key!r:.80}"
            )
    return {key: _form_of(key, question) for key, question in questions.items()}


def answered(
    forms: Mapping[str, Form], ask: Callable[[], Mapping[str, Given]]
) -> dict[str, Answer]:
    """The answers that ``ask`` brings, as their command gets them."""
    from mcp_queue.errors import AskTimeoutError

    try:
        return _answers(forms, ask())
    except AskTimeoutError as error:
        error.answers = _answers(forms, error.answers)
        raise


async def answered_async(
    forms: Mapping[str, Form], asked: Awaitable[Mapping[str, Given]]
) -> dict[str, Answer]:
    """The same for answers that are awaited."""
    from mcp_queue.errors import AskTimeoutError

    try:
        return _answers(forms, await asked)
    except AskTimeoutError as error:
        error.answers = _answers(forms, error.answers)
        raise


def _answers(forms: Mapping[str, Form], given: Mapping[str, Given]) -> dict[str, Answer]:
    return {
        key: Answer(action, forms[key].read(content) if action == "accept" else None)
        for key, (action, content) in given.items()
    }


def _form_of(key: str, question: Question) -> Form:
    from mcp_queue import forms

    message = question.message
    if not isinstance(message, str) or not message.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _invalid(key, f"its message is the text that the person reads, got {message!r:.80}")
    if len(message) > forms.MESSAGE_LIMIT:
        limit = f"at most {forms.MESSAGE_LIMIT:,} characters"
        raise _invalid(key, f"its message has {len(message):,} characters, {limit} are shown")
    if question.schema is None:
        return Form(message, forms.CONFIRM, dict, bool(question.person))
    from mcp_queue.commands.form_schema import form_schema

    schema, read, fault = form_schema(question.schema)
    fault = fault or forms.fault_in(schema) or _too_large(schema)
    if fault is not None:
        raise _invalid(key, fault)
    return Form(message, schema, read, bool(question.person))


def _too_large(schema: dict[str, Any]) -> str | None:
    from json import dumps

    from mcp_queue.forms import SCHEMA_LIMIT

    size = len(dumps(schema))
    return f"it takes {size:,} bytes, at most {SCHEMA_LIMIT:,}" if size > SCHEMA_LIMIT else None


def nobody(forms: Mapping[str, Form], reason: str, advice: str | None = None) -> Exception:
    """The error of questions that reach nobody."""
    from mcp_queue.errors import NobodyToAskError

    advice = advice or _how_to_reach(forms)
    message = next(iter(forms.values())).message
    return NobodyToAskError(message=message, reason=reason, advice=advice)


def _how_to_reach(forms: Mapping[str, Form]) -> str:
    alone = [key for key, form in forms.items() if form.person]
    if len(alone) < len(forms):
        queue = "Queue the command: then any client can answer, at any time"
        names = ", ".join(map(repr, alone))
        return f"{queue}; but {names} {ALONE}." if alone else f"{queue}."
    return (
        f"This {ALONE}. Call the command from a host that shows forms, or queue it: then it "
        "waits for either."
    )


def _invalid(key: str, reason: str) -> Exception:
    from mcp_queue.errors import InvalidQuestionError

    return InvalidQuestionError(key=key, reason=reason)
