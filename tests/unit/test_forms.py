"""What a form may ask, and whether an answer fits it."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_queue import forms


def schema_of(required: bool = True, **fields: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields}
    return schema | {"required": [*fields]} if required else schema


TITLED = [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}]


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string"},
        {"type": "string", "title": "Name", "description": "Yours", "minLength": 1, "maxLength": 9},
        {"type": "string", "format": "email", "default": "a@b.c"},
        {"type": "string", "enum": ["red", "blue"], "default": "red"},
        {"type": "string", "enum": ["r", "b"], "enumNames": ["Red", "Blue"]},
        {"type": "string", "oneOf": TITLED, "default": "b"},
        {"type": "integer", "minimum": 0, "maximum": 3, "default": 0},
        {"type": "number", "minimum": 0.5, "default": 0.5},
        {"type": "boolean", "default": False},
        {"type": "array", "items": {"type": "string", "enum": ["red"]}, "minItems": 1},
        {"type": "array", "items": {"anyOf": TITLED}, "maxItems": 2, "default": ["r", "b"]},
    ],
)
def test_what_the_protocol_knows_may_be_asked(field: dict[str, Any]) -> None:
    assert forms.fault_in(schema_of(it=field)) is None


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ({"type": "object", "properties": {}}, "'object'"),
        ({"type": ["string", "null"]}, "one simple type"),
        ({}, "one simple type"),
        ("string", "no schema"),
        ({"type": "array", "items": {"type": "string"}}, "list of something else"),
        ({"type": "array"}, "list of something else"),
        ({"type": "array", "items": {"type": "object"}}, "list of something else"),
        ({"type": "integer", "enum": [1, 2]}, "no texts"),
        ({"type": "string", "enum": [1]}, "no texts"),
        ({"type": "string", "enum": []}, "no texts"),
        ({"type": "string", "enum": ["a"], "oneOf": TITLED}, "no texts"),
        ({"type": "string", "oneOf": [{"const": "a"}]}, "no texts"),
        ({"type": "string", "enum": ["a"], "enumNames": []}, "enumNames"),
        ({"type": "string", "enumNames": ["a"]}, "enumNames"),
        ({"type": "string", "pattern": "a+"}, "'pattern'"),
        ({"type": "string", "format": "password"}, "'password'"),
        ({"type": "string", "format": ["email"]}, "format"),
        ({"type": "number", "multipleOf": 2}, "'multipleOf'"),
        ({"type": "number", "minimum": "0"}, "minimum"),
        ({"type": "number", "minimum": 10**400}, "minimum"),
        ({"type": "number", "default": float("nan")}, "default"),
        ({"type": "integer", "default": 1.5}, "default"),
        ({"type": "string", "title": 1}, "title"),
    ],
)
def test_what_it_does_not_know_is_named(field: Any, word: str) -> None:
    fault = forms.fault_in(schema_of(it=field))
    assert fault is not None
    assert "'it'" in fault
    assert word in fault


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        "object",
        {"type": "array"},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {1: {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": "a"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "$defs": {}},
        {"type": "object", "properties": {f"f{i}": {"type": "string"} for i in range(51)}},
    ],
)
def test_what_is_no_form_is_refused(schema: Any) -> None:
    assert forms.fault_in(schema)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ({"type": "string"}, ["", "x", "ä"], [1, True, ["x"], {}]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc"], ["a", "abcd"]),
        ({"type": "string", "format": "email"}, ["a@b", "a.b@c.d"], ["a", "@b", "a@", "a b@c"]),
        (
            {"type": "string", "format": "uri"},
            ["https://x.y", "urn:x"],
            ["x", ":x", "1:x", "a b:c"],
        ),
        ({"type": "string", "format": "date"}, ["2026-07-28"], ["28.7.2026", "2026-13-01", ""]),
        (
            {"type": "string", "format": "date-time"},
            ["2026-07-28T12:00:00Z", "2026-07-28T12:00:00+02:00"],
            ["noon", ""],
        ),
        ({"type": "string", "enum": ["a", "b"]}, ["a"], ["c", "", 1]),
        ({"type": "string", "oneOf": TITLED}, ["r"], ["Red"]),
        ({"type": "integer"}, [0, -3, 2.0], [1.5, "1", True, float("inf"), float("nan"), 10**400]),
        ({"type": "integer", "minimum": 1, "maximum": 3}, [1, 3], [0, 4]),
        ({"type": "number"}, [0, 1.5], ["1", False]),
        ({"type": "boolean"}, [True, False], [0, 1, "true"]),
        (
            {"type": "array", "items": {"anyOf": TITLED}, "minItems": 1},
            [["r"], ["r", "b"]],
            [[], ["x"], "r", [1], [["r"]]],
        ),
    ],
)
def test_an_answer_fits_or_its_fault_is_named(
    field: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    schema = schema_of(it=field)
    for value in good:
        assert forms.fitted(schema, {"it": value}) == ({"it": value}, [])
    for value in bad:
        _, [wrong] = forms.fitted(schema, {"it": value})
        assert "'it' should be" in wrong


def test_what_is_missing_or_unknown_is_named() -> None:
    schema = schema_of(name={"type": "string"})
    assert forms.fitted(schema, {"nam": "x"})[1] == ["'nam' is no field", "'name' is missing"]
    assert forms.fitted(schema, {"name": None})[1] == ["'name' is missing"]
    assert "object" in forms.fitted(schema, "yes")[1][0]
    assert forms.fitted(schema_of(required=False, name={"type": "string"}), {}) == ({}, [])


def test_whole_numbers_are_ints() -> None:
    values, _ = forms.fitted(schema_of(n={"type": "integer"}), {"n": 2.0})
    assert type(values["n"]) is int


def test_what_is_allowed_is_said_in_a_line() -> None:
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 18, "maximum": 99},
            "mail": {"type": "string", "format": "email"},
            "colour": {"type": "string", "enum": ["red", "blue"]},
            "days": {"type": "array", "items": {"type": "string", "enum": ["mo"]}, "minItems": 1},
            "code": {"type": "string", "minLength": 2, "maxLength": 4},
        },
        "required": ["age"],
    }
    assert forms.allowed(schema) == (
        "age: a whole number >= 18 <= 99, mail: text (email) (optional), "
        "colour: one of 'red', 'blue' (optional), "
        "days: a list of 'mo', at least 1 of them (optional), "
        "code: text, 2 to 4 characters (optional)"
    )


def test_the_form_of_yes_or_no_is_a_form() -> None:
    assert forms.fault_in(forms.CONFIRM) is None
