"""`ask_for` is checked when a command is defined, and when it is offered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from mcp_queue.commands.command import Command, command
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import InvalidCommandError, InvalidParamsError


def info_of(defined: Any) -> CommandInfo:
    return defined.__mcp_queue__


def test_functions_and_classes_have_it() -> None:
    @command(ask_for=["name"])
    def greet(name: str) -> str:
        return name

    class Greets(Command):
        name = "greets"
        ask_for = ("who",)

        def execute(self, who: str) -> str:
            return who

    @command
    def plain() -> None: ...

    assert [info_of(each).ask_for for each in (greet, Greets, plain)] == [("name",), ("who",), ()]


@pytest.mark.parametrize(
    ("ask_for", "words"),
    [
        ("name", "a tuple of names"),
        (7, "a tuple of names"),
        ((1,), "a tuple of names"),
        (("nam",), "no parameter 'nam'"),
        (("name", "more"), "no parameter 'more'"),
    ],
)
def test_what_it_names_has_to_be_there(ask_for: Any, words: str) -> None:
    with pytest.raises(InvalidCommandError, match=words):

        @command(ask_for=ask_for)
        def greet(name: str, **more: Any) -> str:
            return f"{name} {more}"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Path, "'path'"),
        (dict[str, int], "'object'"),
        (list[str], "list of something else"),
        (Literal[1, 2], "no texts"),
    ],
)
def test_what_no_form_can_ask_is_no_tool(kind: Any, word: str) -> None:
    def greet(it: Any) -> None: ...

    greet.__annotations__ = {"it": kind}
    info = CommandInfo("greet", greet, ask_for=("it",))
    with pytest.raises(InvalidCommandError, match=word) as caught:
        schema_of(info)
    assert "'it'" in caught.value.message


def test_what_the_caller_does_not_give_cannot_be_asked_for() -> None:
    def greet(job: Any) -> None: ...

    with pytest.raises(InvalidCommandError, match="no caller gives 'job'"):
        schema_of(CommandInfo("greet", greet, ask_for=("job",)))


def test_it_may_be_left_out_of_a_call_but_is_still_needed() -> None:
    def greet(
        name: str, age: Annotated[int, Field(gt=0, description="Years.")], polite: bool = True
    ) -> None: ...

    schema = schema_of(CommandInfo("greet", greet, ask_for=("age",)))
    assert schema.offered_schema["required"] == ["name"]
    assert schema.offered_schema["properties"]["age"]["description"] == (
        "Years. If left out, the user is asked."
    )
    assert schema.input_schema["required"] == ["name", "age"]
    assert schema.input_schema["properties"]["age"]["description"] == "Years."
    assert schema.form_for(("age",)) == {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 1, "description": "Years."}},
        "required": ["age"],
    }
    with pytest.raises(InvalidParamsError, match="'age' is missing"):
        schema.validate({"name": "x"})
    schema.validate_without(("age",), {"name": "x"})
    with pytest.raises(InvalidParamsError, match="'name' is missing"):
        schema.validate_without(("age",), {})
