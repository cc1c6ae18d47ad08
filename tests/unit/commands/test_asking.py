"""Questions as an author writes them, and answers as an author reads them."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from mcp_queue import (
    Answer,
    AskTimeoutError,
    InvalidQuestionError,
    Job,
    JobStoppedError,
    NobodyToAskError,
    Question,
    QueueJobBase,
    forms,
)
from mcp_queue.commands.asking import to_job_questions
from mcp_queue.commands.job import Sink
from mcp_queue.questions import JobQuestion


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(BaseModel):
    """Who are you?"""

    name: Annotated[str, Field(min_length=1, title="Your name")]
    born: datetime.date | None = None
    colour: Colour = Colour.RED
    days: set[Literal["mo", "tu"]] = set()


def form_of(schema: Any, message: str = "Which?") -> tuple[dict[str, Any], Any]:
    """The form of a question, and how its answers are read."""
    [question], readers = to_job_questions({"it": Question(message, schema)})
    return question.schema, readers["it"]


def field_of(kind: Any) -> dict[str, Any]:
    return form_of({"it": kind})[0]["properties"]["it"]


def refusal(schema: Any, **question: Any) -> InvalidQuestionError:
    with pytest.raises(InvalidQuestionError) as caught:
        form_of(schema, **question)
    return caught.value


def test_without_a_schema_it_is_yes_or_no() -> None:
    schema, read = form_of(None)
    assert schema == forms.CONFIRM
    assert read({"confirm": True}) == {"confirm": True}


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Annotated[int, Field(gt=0, lt=10)], {"type": "integer", "minimum": 1, "maximum": 9}),
        (Annotated[str, Field(description="D")], {"type": "string", "description": "D"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"], {"type": "string", "enum": ["a"]}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (list[Colour], {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}}),
        (str | None, {"type": "string"}),
        (Colour | None, {"type": "string", "enum": ["red", "blue"]}),
        (
            Annotated[
                str, Field(json_schema_extra={"oneOf": [{"const": "a", "title": "The first"}]})
            ],
            {"type": "string", "oneOf": [{"const": "a", "title": "The first"}]},
        ),
    ],
)
def test_a_type_is_a_field(kind: Any, field: dict[str, Any]) -> None:
    assert field_of(kind) == field


def test_a_model_is_a_form_and_its_values_come_back_typed() -> None:
    schema, read = form_of(Person)
    assert schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "title": "Your name", "minLength": 1},
            "born": {"type": "string", "format": "date"},
            "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "days": {
                "type": "array",
                "items": {"type": "string", "enum": ["mo", "tu"]},
                "default": [],
            },
        },
        "required": ["name"],
    }
    values = read({"name": "Ada", "born": "1815-12-10", "days": ["mo"]})
    assert values == {
        "name": "Ada",
        "born": datetime.date(1815, 12, 10),
        "colour": Colour.RED,
        "days": {"mo"},
    }
    assert Person(**values) == Person(**{**values, "colour": "red"})


def test_names_that_a_model_cannot_have_are_fields_too() -> None:
    schema, read = form_of({"model_config": str, "_x": int, "a b": bool | None})
    assert [*schema["properties"]] == ["model_config", "_x", "a b"]
    assert schema["required"] == ["model_config", "_x"]
    assert read({"model_config": "m", "_x": 1}) == {"model_config": "m", "_x": 1, "a b": None}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"it": Path}, ["'it'", "'path'"]),
        ({"it": dict[str, str]}, ["'it'", "'object'"]),
        ({"it": Person}, ["'it'", "'object'"]),
        ({"it": list[str]}, ["'it'", "list of something else"]),
        ({"it": int | str}, ["'it'"]),
        ({"it": Literal[1, 2]}, ["'it'", "no texts"]),
        ({"it": SecretStr}, ["'it'", "secret"]),
        ({"it": Annotated[str, Field(pattern="a+")]}, ["'it'", "'pattern'"]),
        ({"it": Annotated[float, Field(gt=0)]}, ["'it'", "'exclusiveMinimum'"]),
        ({"it": object()}, ["pydantic model"]),
        ({1: str}, ["pydantic model"]),
        ({}, ["no field"]),
        (str, ["pydantic model"]),
        ("name", ["pydantic model"]),
        (Person(name="x"), ["pydantic model"]),
        ({"it": Annotated[str, Field(description="x" * 20_000)]}, ["bytes"]),
    ],
)
def test_what_no_form_can_ask_is_refused_with_its_name(schema: Any, words: list[str]) -> None:
    error = refusal(schema)
    assert error.code == "invalid_question"
    for word in words:
        assert word in error.message
    assert "str, int" in error.hint


@pytest.mark.parametrize("message", ["", "  ", None, 7, "x" * 4097])
def test_a_message_is_a_text_that_can_be_read(message: Any) -> None:
    assert "message" in refusal(None, message=message).message


@pytest.mark.parametrize("key", ["", "a.b", "ä", "x" * 65, "a b"])
def test_a_key_is_a_name(key: str) -> None:
    with pytest.raises(InvalidQuestionError, match="a key has"):
        to_job_questions({key: Question("Which?")})


def test_nothing_cannot_be_asked() -> None:
    with pytest.raises(InvalidQuestionError, match="no question"):
        to_job_questions({})


@pytest.mark.parametrize(
    ("answer", "is_true"),
    [
        (Answer("accept", {"confirm": True}), True),
        (Answer("accept", {"confirm": False}), False),
        (Answer("accept", {"name": ""}), True),
        (Answer("accept", {}), True),
        (Answer("decline"), False),
        (Answer("cancel"), False),
    ],
)
def test_an_answer_is_true_when_it_says_yes(answer: Answer, is_true: bool) -> None:
    assert bool(answer) is is_true


def test_answers_and_questions_show_what_they_are() -> None:
    assert Answer("decline") == Answer("decline", {})
    assert Answer("decline") != Answer("cancel")
    assert repr(Answer("accept", {"a": 1})) == "Answer('accept', {'a': 1})"
    assert repr(Question("Which?")) == "Question('Which?', None)"
    assert Answer("decline").content == {}


class Caller:
    """Answers as a test says; the sink of a job and who asks for it."""

    def __init__(self, *given: Any) -> None:
        self.given = list(given)
        self.asked: list[dict[str, Any]] = []

    def question_channel(self) -> Any:
        return self

    def ask(self, questions: list[JobQuestion], timeout: float | None) -> Any:
        self.asked.append({each.key: (each.message, timeout) for each in questions})
        given = self.given.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def ask_async(self, questions: list[JobQuestion], timeout: float | None) -> Any:
        return self.ask(questions, timeout)


def job_of(caller: Any) -> Job:
    return Job("j", 1, caller)


async def test_one_and_many_sync_and_async() -> None:
    accepted = Answer("accept", {"n": 2})
    caller = Caller(
        {"answer": Answer("accept", {"confirm": True})},
        {"a": accepted, "b": Answer("decline", {})},
        {"answer": accepted},
        {"a": accepted},
    )
    job = job_of(caller)
    many = {"a": Question("A?", {"n": int}), "b": Question("B?")}
    assert job.ask("Sure?", timeout=3)
    assert job.ask_all(many) == {"a": Answer("accept", {"n": 2}), "b": Answer("decline")}
    assert (await job.ask_async("N?", {"n": int})).content == {"n": 2}
    assert (await job.ask_all_async({"a": many["a"]}))["a"].content == {"n": 2}
    assert caller.asked[0] == {"answer": ("Sure?", 3)}
    assert caller.asked[1] == {"a": ("A?", None), "b": ("B?", None)}


def test_a_timeout_brings_what_came_in_time() -> None:
    error = AskTimeoutError(timeout=1.5, keys="'b'")
    error.answers = {"a": Answer("accept", {"n": "7"})}
    with pytest.raises(TimeoutError) as caught:
        job_of(Caller(error)).ask_all({"a": Question("A?", {"n": int}), "b": Question("B?")})
    assert isinstance(caught.value, AskTimeoutError)
    assert caught.value.answers == {"a": Answer("accept", {"n": 7})}
    assert "1.5 seconds: 'b'" in str(caught.value)


def test_nobody_to_ask_is_said() -> None:
    for job in (job_of(Sink()), QueueJobBase("j", {})):
        with pytest.raises(NobodyToAskError) as caught:
            job.ask("Sure?")
        assert "'Sure?'" in caught.value.message
        assert "any client can answer" in caught.value.hint
        with pytest.raises(NobodyToAskError) as caught:
            job.ask("Sure?", person=True)
        assert "a form of the host, or a program for the person" in caught.value.hint
        assert "any client" not in caught.value.hint
        with pytest.raises(NobodyToAskError) as caught:
            job.ask_all({"a": Question("Sure?"), "b": Question("Really?", person=True)})
        assert "any client can answer, at any time; but 'b' is for the person" in caught.value.hint


def test_a_stop_is_an_error_of_its_own() -> None:
    with pytest.raises(JobStoppedError):
        job_of(Caller(JobStoppedError())).ask("Sure?")
