"""Values that are wrong in the ways of hosts, as what was meant: only where no doubt is left.

Hosts send ``'["a"]'`` for a list, ``'{"k": 1}'`` for an object, ``"5"`` for a number, and null for
what they leave out. Each is taken for what it means where the JSON Schema of the place admits that
and no text. It is imported once something was refused, and says nothing to the caller.
"""

from __future__ import annotations

import json
import logging
from typing import Any, cast

log = logging.getLogger(__name__)

KINDS = frozenset({"null", "boolean", "number", "string", "array", "object"})
LEFT_OUT: Any = object()
_said: set[tuple[str, str]] = set()


def mended(
    names: set[str], params: dict[str, Any], schema: dict[str, Any]
) -> dict[str, Any] | None:
    """``params`` with those of ``names`` mended; None if nothing about them can be."""
    given, changed = dict(params), False
    for name in names & schema["properties"].keys() & given.keys():
        required = name in schema.get("required", ())
        try:
            value = _property(given[name], schema["properties"][name], required, schema)
        except RecursionError:
            continue
        changed = changed or value is not given[name]
        given[name] = value
    if not changed:
        return None
    return {name: value for name, value in given.items() if value is not LEFT_OUT}


def say(command: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """A line in the log for each parameter that was mended, once."""
    for name, value in before.items():
        if after.get(name, LEFT_OUT) is value or (command, name) in _said:
            continue
        _said.add((command, name))
        log.warning(
            "The client gave %r of %r as %s; it is taken for what it means",
            name,
            command,
            "null" if value is None else "JSON within a text, or with null for what is left out",
        )


def takes_null(part: Any, whole: dict[str, Any]) -> bool:
    """Whether the part of the schema ``whole`` admits null."""
    return "null" in _kinds(_resolved(part, whole), whole)


def _property(value: Any, part: Any, required: bool, whole: dict[str, Any]) -> Any:
    if value is None and not required and not takes_null(part, whole):
        return LEFT_OUT
    return _value(value, part, whole)


def _value(value: Any, part: Any, whole: dict[str, Any]) -> Any:
    """The value, or a new one."""
    part = _resolved(part, whole)
    if isinstance(value, str):
        kinds = _kinds(part, whole)
        if "string" in kinds:
            return value
        meant = _read(value)
        return _value(meant, part, whole) if _kind(meant) in kinds else value
    if isinstance(value, list):
        return _list(cast("list[Any]", value), part, whole)
    if isinstance(value, dict):
        return _object(cast("dict[str, Any]", value), part, whole)
    return value


def _list(value: list[Any], part: Any, whole: dict[str, Any]) -> list[Any]:
    found = _branch(part, "array", whole)
    first: list[Any] = found.get("prefixItems", [])
    rest = found.get("items", {})
    items = [
        _value(item, first[i] if i < len(first) else rest, whole) for i, item in enumerate(value)
    ]
    same = all(item is before for item, before in zip(items, value, strict=True))
    return value if same else items


def _object(value: dict[str, Any], part: Any, whole: dict[str, Any]) -> dict[str, Any]:
    found = _branch(part, "object", whole)
    properties: dict[str, Any] = found.get("properties", {})
    required = found.get("required", ())
    others: Any = {} if "patternProperties" in found else found.get("additionalProperties", {})
    made: dict[str, Any] = {}
    for name, item in value.items():
        if name in properties:
            made[name] = _property(item, properties[name], name in required, whole)
        else:
            made[name] = _value(item, others, whole)
    if all(made[name] is item for name, item in value.items()):
        return value
    return {name: item for name, item in made.items() if item is not LEFT_OUT}


def _branch(part: Any, kind: str, whole: dict[str, Any]) -> dict[str, Any]:
    """The one alternative of this kind; an empty schema, which says nothing, if there are more."""
    if not isinstance(part, dict):
        return {}
    found = [
        branch
        for each in _alternatives(cast("dict[str, Any]", part))
        if kind in _kinds(branch := _resolved(each, whole), whole)
    ]
    if len(found) != 1:
        return {}
    inner = found[0]
    return _branch(inner, kind, whole) if _alternatives(inner) != [inner] else inner


def _alternatives(part: dict[str, Any]) -> list[Any]:
    for word in ("anyOf", "oneOf", "allOf"):
        branches: list[Any] = part.get(word, [])
        if branches and (word != "allOf" or len(branches) == 1):
            return branches
    return [part]


def _resolved(part: Any, whole: dict[str, Any]) -> Any:
    """Without the reference that it may be."""
    while isinstance(part, dict) and "$ref" in part:
        found = cast("dict[str, Any]", part)
        name = str(found["$ref"]).rpartition("/")[2]
        part = whole.get("$defs", {}).get(name, {})
    return cast("Any", part)


def _kinds(part: Any, whole: dict[str, Any]) -> frozenset[str]:
    """The kinds of JSON that it may admit; all of them if it does not say."""
    if not isinstance(part, dict):
        return KINDS
    found = cast("dict[str, Any]", part)
    branches = _alternatives(found)
    if branches != [found]:
        return frozenset(
            kind for each in branches for kind in _kinds(_resolved(each, whole), whole)
        )
    if "const" in found:
        return frozenset({_kind(found["const"])})
    if "enum" in found:
        return frozenset(map(_kind, found["enum"]))
    named = found.get("type", KINDS)
    kinds: set[str] = {named} if isinstance(named, str) else set(named)
    return frozenset("number" if kind == "integer" else kind for kind in kinds)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kinds, name in (
        (bool, "boolean"),
        ((int, float), "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ):
        if isinstance(value, kinds):
            return name
    return ""


def _read(text: str) -> Any:
    """The JSON value of a text; the text itself if it is none."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _refuse(word: str) -> float:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else _refuse(text)
