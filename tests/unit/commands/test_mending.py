"""What hosts get wrong is taken for what it means, where the type leaves no doubt."""

from __future__ import annotations

import datetime as dt
import enum
import json
import logging
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    SecretStr,
    Strict,
    StrictBool,
    StrictInt,
    Tag,
    ValidationError,
)

from mcp_queue.commands import mending
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.schema import CommandSchema
from mcp_queue.errors import InvalidParamsError


class Point(BaseModel):
    x: int
    y: float = 0.0
    tags: list[str] = []
    label: str | None = None
    inner: Point | None = None


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["closed"] = "closed"
    n: int


class Open(BaseModel):
    kind: Literal["open"] = "open"
    names: list[str]


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Word(enum.Enum):
    A = "a"
    LIST = "[]"


@dataclass
class Pair:
    left: int
    right: list[int]


@dataclass
class Table:
    rows: list[list[int]]


REQUIRED: Any = object()


def schema_for(kind: Any, default: Any = REQUIRED, **options: Any) -> CommandSchema:
    def work(it): ...

    work.__annotations__ = {"it": kind}
    work.__defaults__ = None if default is REQUIRED else (default,)
    return CommandSchema(CommandInfo("work", work, **options))


def taken(kind: Any, value: Any, default: Any = REQUIRED) -> Any:
    """What the command gets, as JSON and as Python's value."""
    schema = schema_for(kind, default)
    return schema.validate({"it": value}), schema.call_arguments({"it": value})


Union_ = Annotated[Closed | Open, Field(discriminator="kind")]

# A type, what a host sends, what it means as JSON.
MENDED: list[tuple[Any, Any, Any]] = [
    (list[str], '["a", "b"]', ["a", "b"]),
    (list, " [1, null]\n", [1, None]),
    (list[list[int]], ["[1]", [2]], [[1], [2]]),
    (list[list[int]], '["[1]", [2]]', [[1], [2]]),
    (list[int] | None, "[1]", [1]),
    (list[int] | None, "null", None),
    (list[int] | int, "[1]", [1]),
    (list[int] | dict[str, int], '{"k": 1}', {"k": 1}),
    (set[int], "[1]", [1]),
    (tuple[int, list[str]], [1, '["a"]'], [1, ["a"]]),
    (tuple[list[int], ...], ["[1]"], [[1]]),
    (dict[str, int], '{"k":1}', {"k": 1}),
    (dict[str, list[int]], {"k": "[1]"}, {"k": [1]}),
    (dict, "{}", {}),
    (Point, '{"x": 1}', {"x": 1}),
    (Point, {"x": 1, "tags": '["a"]'}, {"x": 1, "tags": ["a"]}),
    (Point, {"x": 1, "y": None, "tags": None}, {"x": 1}),
    (Point, {"x": 1, "inner": '{"x": 2, "tags": null}'}, {"x": 1, "inner": {"x": 2}}),
    (list[Point], ['{"x": 1}', {"x": 2, "y": None}], [{"x": 1}, {"x": 2}]),
    (Point | None, '{"x": 1}', {"x": 1}),
    (Closed, {"n": "1"}, {"n": 1}),
    (Closed, '{"n": 1}', {"n": 1}),
    (Union_, '{"kind": "open", "names": []}', {"kind": "open", "names": []}),
    (Closed | Open, '{"names": ["a"]}', {"names": ["a"]}),
    (Pair, '{"left": 1, "right": [2]}', {"left": 1, "right": [2]}),
    (Pair, {"left": 1, "right": "[2]"}, {"left": 1, "right": [2]}),
    (Table, {"rows": "[[1]]"}, {"rows": [[1]]}),
    (Literal[1, 2], "2", 2),
    (Literal[True, 2], "true", True),
    (StrictInt, "5", 5),
    (StrictBool, "true", True),
    (Annotated[float, Strict()], "5.5", 5.5),
    (Annotated[int, Strict(), Field(ge=1)], "5", 5),
    (StrictInt | StrictBool, "true", True),
    (Annotated[list[int], Field(min_length=1)], "[1]", [1]),
]


@pytest.mark.parametrize(("kind", "sent", "meant"), MENDED)
def test_what_leaves_no_doubt_is_taken(kind: Any, sent: Any, meant: Any) -> None:
    as_json, as_python = taken(kind, sent)
    expected_json, expected_python = taken(kind, meant)
    assert as_python == expected_python
    assert as_json == expected_json
    assert repr(as_json) == repr(expected_json)  # True is no 1


@pytest.mark.parametrize("kind", [int, float, bool, Number, int | None, int | bool])
def test_numbers_as_text_are_taken_by_all_types_of_numbers(kind: Any) -> None:
    assert taken(kind, "1")[1] == taken(kind, 1)[1]


# A type, and what is wrong for it and stays wrong.
REFUSED: list[tuple[Any, Any]] = [
    (list[str], "a"),
    (list[str], "a, b"),
    (list[str], "{}"),
    (list[str], '"[]"'),
    (list[str], ["a", 1]),
    (list[str], None),
    (list[int], '["a"]'),
    (dict[str, int], "[]"),
    (dict[str, int], '{"k": "a"}'),
    (dict[str, int], "{'k': 1}"),
    (int, "5 apples"),
    (int, "[5]"),
    (int, None),
    (StrictInt, "5.5"),
    (StrictInt, "true"),
    (StrictBool, "1"),
    (Annotated[float, Strict()], "NaN"),
    (Annotated[float, Strict()], "1e999"),
    (Annotated[int, Strict()], "9" * 5000),
    (Annotated[int, Field(ge=3)], "2"),
    (list[int], "[" * 100_000),
    (Literal["a", 2], "b"),
    (Word, "[1]"),
    (Point, {"x": None}),
    (Point, {"x": 1, "more": "[]", "tags": 5}),
    (Closed, {"n": 1, "m": None}),
    (dt.date, "[1]"),
    (uuid.UUID, "1"),
    (Decimal, "[]"),
    (Json[list[int]], "{}"),
]


@pytest.mark.parametrize(("kind", "sent"), REFUSED)
def test_what_is_wrong_stays_wrong_and_the_error_is_about_what_came(kind: Any, sent: Any) -> None:
    with pytest.raises(InvalidParamsError) as caught:
        taken(kind, sent)
    assert "'it" in caught.value.message


# Types that take a text, which is never looked into.
TEXTS: list[tuple[Any, str]] = [
    (str, '["a"]'),
    (str | None, "null"),
    (list[str] | str, '["a"]'),
    (dict[str, int] | str, '{"k": 1}'),
    (int | str, "5"),
    (Any, "[]"),
    (object, "[]"),
    (Literal["[]", 2], "[]"),
    (Word, "[]"),
    (bytes, "[]"),
    (Path, "[]"),
    (SecretStr, "[]"),
    (StrictInt | str, "5"),
]


@pytest.mark.parametrize(("kind", "sent"), TEXTS)
def test_a_text_stays_a_text_where_one_is_allowed(kind: Any, sent: str) -> None:
    assert taken(kind, sent)[0] == {"it": sent}


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (list[str | list[str]], ["[]", 1]),
        (dict[str, Any], [1]),
        (list[Json[list[int]] | int], ["[1]", "x"]),
    ],
)
def test_a_text_within_what_is_wrong_is_not_looked_into_either(kind: Any, sent: Any) -> None:
    with pytest.raises(InvalidParamsError):
        taken(kind, sent)


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (int, 3),
        (str, ""),
        (list[str], ["a"]),
        (Annotated[int, Field(ge=1)], 3),
        (Literal["a"], "a"),
        (Point, Point(x=1)),
        (Word, Word.A),
        (dt.date, dt.date(2026, 1, 1)),
        (list[int], Field(default_factory=list)),
    ],
)
def test_null_for_a_default_counts_as_left_out(kind: Any, default: Any) -> None:
    as_json, as_python = taken(kind, None, default)
    assert as_json == {}
    assert as_python == schema_for(kind, default).call_arguments({})


@pytest.mark.parametrize("kind", [int | None, Any, str | None])
def test_null_stays_where_it_is_a_value(kind: Any) -> None:
    assert taken(kind, None, 3) == ({"it": None}, {"it": None})


def of_text(value: Any) -> Any:
    return int(value.strip())


def test_only_what_was_refused_is_touched() -> None:
    def work(a: list[int], b: Annotated[int, BeforeValidator(of_text)], c: str = ""): ...

    schema = CommandSchema(CommandInfo("work", work))
    assert schema.call_arguments({"a": "[1]", "b": " 5", "c": "[2]"}) == {
        "a": [1],
        "b": 5,
        "c": "[2]",
    }


def test_a_check_of_an_author_that_does_not_expect_it_refuses() -> None:
    def odd(value: Any) -> Any:
        if value == "5":
            raise ValueError("no fives")
        return value.strip()

    with pytest.raises(InvalidParamsError, match="no fives"):
        taken(Annotated[int, BeforeValidator(odd)], "5")


def test_an_unknown_parameter_is_refused_whatever_it_holds() -> None:
    with pytest.raises(InvalidParamsError, match="'more' is unknown"):
        schema_for(int, 3).validate({"it": None, "more": None})


def test_conditions_see_what_was_meant() -> None:
    large = {"properties": {"it": {"minItems": 2}}}
    with pytest.raises(InvalidParamsError, match="too short"):
        schema_for(list[int], conditions={"allOf": [large]}).validate({"it": "[1]"})
    with pytest.raises(InvalidParamsError, match="less than"):
        schema_for(int, conditions={"allOf": [{"properties": {"it": {"minimum": 2}}}]}).validate(
            {"it": "1"}
        )
    both = {"dependentRequired": {"it": ["other"]}}
    assert schema_for(int, 3, conditions=both).validate({"it": None}) == {}


def test_the_log_says_it_once_for_a_parameter(caplog: pytest.LogCaptureFixture) -> None:
    mending._logged.clear()  # pyright: ignore[reportPrivateUsage]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            taken(list[str], '["a"]')
            taken(list[str], ["a"])
    [record] = caplog.records
    assert "'it' of 'work'" in record.getMessage()


KINDS: list[Any] = [
    int, float, bool, str, list[int], list[str], dict[str, int], Point, Closed, Union_, Pair, Table,
    Literal[1, "a"], Number, Word, StrictInt, StrictBool, int | None, int | str, list[int] | str,
    dt.date, dt.timedelta, uuid.UUID, Decimal, Annotated[int, Field(ge=0, lt=10)], set[int], Any,
    tuple[int, str], dict[str, Any], Annotated[str, Field(pattern="^a")], bytes,
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab1[]{}":,', max_size=6)
    | st.sampled_from(["1", "true", "null", "[]", "{}", '{"x":1}', "2026-01-01", "closed", "open"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["x", "y", "tags", "kind", "n", "names", "left", "right", "rows", "inner"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(KINDS), st.booleans(), JSON)
def test_what_was_valid_before_is_untouched(kind: Any, optional: bool, value: Any) -> None:
    schema = schema_for(kind, 3 if optional else REQUIRED)
    arguments = schema._arguments  # pyright: ignore[reportPrivateUsage]
    try:
        model = arguments._model.model_validate_json(json.dumps({"it": value}))  # pyright: ignore[reportPrivateUsage]
    except ValidationError:
        return
    checked = arguments.check({"it": value})
    assert checked.params == {"it": value}
    assert checked.params["it"] is value
    assert repr(checked.model) == repr(model)


@given(st.sampled_from(KINDS), JSON)
def test_a_text_of_json_is_taken_for_that_or_for_itself(kind: Any, value: Any) -> None:
    """Never for anything else, and never for that where a text is allowed."""
    schema = schema_for(kind)
    try:
        found = schema.call_arguments({"it": json.dumps(value)})
    except InvalidParamsError:
        return
    part = schema.input_schema["properties"]["it"]
    if "string" in mending._kinds(part, schema.input_schema):  # pyright: ignore[reportPrivateUsage]
        assert schema._arguments.check({"it": json.dumps(value)}).params == {  # pyright: ignore[reportPrivateUsage]
            "it": json.dumps(value)
        }
    elif not isinstance(value, str):
        assert found == schema.call_arguments({"it": value})


def test_the_tag_of_a_discriminated_union_is_found() -> None:
    def tag(value: Any) -> str:
        return "list" if isinstance(value, list) else "number"

    kind = Annotated[
        Annotated[list[int], Tag("list")] | Annotated[int, Tag("number")], Discriminator(tag)
    ]
    assert taken(kind, "[1]")[1] == {"it": [1]}
