"""Params as JSON: what JSON would lose or change on the way to the worker is refused."""

from __future__ import annotations

import json
from typing import Any, cast

from mcp_queue.errors import InvalidParamsError

DEPTH = 200  # arrays and objects that may stand inside each other


def to_json(command: str, params: dict[str, Any]) -> str:
    """``params`` as JSON text. Raises InvalidParamsError, which names the place in them."""
    problem = _problem(params, "params", ())
    if problem is None:
        try:
            return json.dumps(params, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"params: {error}"
    raise InvalidParamsError(
        command=command,
        problems=problem,
        advice="Params go to another process as JSON: text, numbers, true, false, null, lists, "
        "and dicts with text as keys. Pass a path as its text, an object as a dict.",
    )


def _problem(value: object, place: str, around: tuple[int, ...]) -> str | None:
    """The first place that JSON cannot hold as it is, in words."""
    if value is None or isinstance(value, (bool, int, str)):
        return None
    if isinstance(value, float):
        return None if value - value == 0 else f"{place}: {value} is no JSON number"
    if not isinstance(value, (dict, list, tuple)):
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
        return f"{place}: JSON cannot hold a value of type {name} ({value!r:.80})"
    if id(value) in around:  # pyright: ignore[reportUnknownArgumentType]
        return f"{place}: it contains itself"
    if len(around) == DEPTH:
        return f"{place}: nested more than {DEPTH} deep"
    return _problem_inside(cast("dict[Any, Any] | list[Any]", value), place, (*around, id(value)))  # pyright: ignore[reportUnknownArgumentType]


def _problem_inside(
    value: dict[Any, Any] | list[Any], place: str, around: tuple[int, ...]
) -> str | None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(value, dict) and not isinstance(key, str):
            return f"{place}: the key {key!r:.40} is of type {type(key).__name__}, not text"
        if found := _problem(item, f"{place}[{key!r:.40}]", around):
            return found
    return None


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
