"""Prompts, resources and conditions are checked as they are defined, and as they are offered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import mcp_queue.files  # noqa: F401 (what loads files is no trace of one)
from mcp_queue.commands.catalog import BUILTIN_PROMPTS, registry
from mcp_queue.commands.command import Command, command
from mcp_queue.commands.loading import load
from mcp_queue.commands.prompt import prompt
from mcp_queue.commands.resource import resource
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import (
    CommandLoadError,
    DuplicateCommandError,
    InvalidCommandError,
    InvalidParamsError,
)
from mcp_queue.server.features.queue_prompts import PROMPTS


def give(day: str = "", path: str = "") -> str:
    return day + path


def test_the_function_stays_as_it_is() -> None:
    assert prompt(give) is give
    assert prompt(name="other")(give) is give
    assert resource("notes://today")(give) is give
    assert [*registry.prompts] == ["give", "other"]
    assert [*registry.resources] == ["notes://today"]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (7, "a text"),
        ("", "begins with a scheme"),
        ("notes", "begins with a scheme"),
        ("notes:", "begins with a scheme"),
        ("1notes://x", "begins with a scheme"),
        ("no tes://x", "begins with a scheme"),
        ("queue://jobs/mine", "the queue's own"),
        ("notes://{day", "neither"),
        ("notes://day}", "without a"),
        ("notes://{}", "neither"),
        ("notes://{?day}", "neither"),
        ("notes://{day*}", "neither"),
        ("notes://{day}/{day}", "twice"),
        ("notes://{week}", "no such parameter"),
    ],
)
def test_an_address_has_a_form(uri: Any, words: str) -> None:
    with pytest.raises(InvalidCommandError, match=words):
        resource(uri)(give)
    assert not registry.resources


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mime_type": "markdown"}, "text/markdown"),
        ({"mime_type": 7}, "text/markdown"),
        ({"updated_by": 7}, "name of a command"),
        ({"updated_by": [7]}, "name of a command"),
        ({"name": "two words"}, "letters"),
    ],
)
def test_options_of_a_resource(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidCommandError, match=words):
        resource("notes://today", **options)(give)


def test_only_functions() -> None:
    for decorate in (prompt, resource("notes://today")):
        with pytest.raises(InvalidCommandError, match="for functions"):
            decorate(dict)


def test_the_names_of_the_queue_are_taken() -> None:
    assert tuple(each.name for each in PROMPTS) == BUILTIN_PROMPTS
    with pytest.raises(InvalidCommandError, match="choose another"):
        prompt(name="diagnose_job")(give)


def test_two_of_one_name_or_address() -> None:
    def other(day: str) -> str:
        return day

    prompt(name="same")(give)
    resource("notes://{day}")(give)
    with pytest.raises(DuplicateCommandError, match=r"Two prompts are named 'same'.*\(give\)"):
        prompt(name="same")(other)
    with pytest.raises(DuplicateCommandError, match="Two resources are named 'notes:"):
        resource("notes://{day}")(other)
    command(name="same")(other)  # commands have names of their own


def test_a_module_that_fails_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "fails.py"
    file.write_text(
        "from mcp_queue import command, prompt, resource\n"
        "@prompt\n@command\n@resource('notes://today')\n"
        "def works() -> str: return ''\n"
        "1 / 0\n"
    )
    before = set(sys.modules)
    with pytest.raises(CommandLoadError, match="line 6"):
        load(str(file))
    assert not registry.everything()
    assert before == set(sys.modules)


BOTH = {"dependentRequired": {"day": ["path"]}}


def test_functions_and_classes_have_conditions() -> None:
    class Gives(Command):
        name = "gives"
        conditions = BOTH

        def execute(self, day: str = "", path: str = "") -> str:
            return give(day, path)

    for defined in (command(conditions=BOTH)(give), Gives):
        schema = schema_of(defined.__mcp_queue__)  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
        assert schema.validate({"path": "a"}) == {"path": "a"}
        assert schema.input_schema["dependentRequired"] == BOTH["dependentRequired"]
        for check in (schema.validate, schema.call_arguments):
            with pytest.raises(InvalidParamsError, match="'path' is a dependency of 'day'"):
                check({"day": "1"})


@pytest.mark.parametrize("given", [7, ["anyOf"], {"required": ["day"]}, {"$ref": "http://x/"}])
def test_conditions_are_some_keywords(given: Any) -> None:
    with pytest.raises(InvalidCommandError, match="JSON Schema keywords among allOf, anyOf"):
        command(conditions=given)(give)


def test_conditions_are_a_schema() -> None:
    info = command(conditions={"anyOf": [{"required": "day"}]})(give).__mcp_queue__  # pyright: ignore[reportFunctionMemberAccess]
    with pytest.raises(InvalidCommandError, match="conditions/anyOf/0/required: 'day' is not"):
        schema_of(info)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"not": {"required": ["day", "path"]}}, '{"day": "1", "path": "a"} is not allowed'),
        (
            {"allOf": [{"properties": {"day": {"pattern": "^[a-z]$"}}}]},
            "['day']: '1' does not match '^[a-z]$'",
        ),
        (
            {"oneOf": [{"required": ["week"]}, {"maxProperties": 1}]},
            "'week' is a required property, or {'day': '1', 'path': 'a'} has too many properties",
        ),
    ],
)
def test_what_does_not_hold_is_said(conditions: dict[str, Any], words: str) -> None:
    info = command(conditions=conditions)(give).__mcp_queue__  # pyright: ignore[reportFunctionMemberAccess]
    with pytest.raises(InvalidParamsError) as raised:
        schema_of(info).validate({"day": "1", "path": "a"})
    assert words in raised.value.message
