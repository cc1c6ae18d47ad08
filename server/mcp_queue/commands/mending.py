"""Correction of values that hosts typically get wrong, if the meaning is certain.

Hosts send ``'["a"]'`` for a list, ``'{"k": 1}'`` for an object, ``"5"`` for a number, and null for
an omitted value. Such a value is corrected if the JSON Schema allows the correct type there, and no
text. The module is imported when a value was refused. Callers get no notice of a correction.
"""

from __future__ import annotations

import json
import logging
from typing import Any, cast

log = logging.getLogger(__name__)

KINDS = frozenset({"null", "boolean", "number", "string", "array", "object"})
OMITTED: Any = object()
_logged: set[tuple[str, str]] = set()


def mend(names: set[str], params: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """``params`` with corrected values for ``names``; None if no value can be corrected."""
    values, changed = dict(params), False
    for name in names & schema["properties"].keys() & values.keys():
        required = name in schema.get("required", ())
        try:
            value = _property(values[name], schema["properties"][name], required, schema)
        except RecursionError:
            continue
        changed = changed or value is not values[name]
        values[name] = value
    if not changed:
        return None
    return {name: value for name, value in values.items() if value is not OMITTED}


def log_mended(command: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Write one line to the log for each corrected parameter, once in this process."""
    for name, value in before.items():
        if after.get(name, OMITTED) is value or (command, name) in _logged:
            continue
        _logged.add((command, name))
        log.warning(
            "The client gave %r of %r as %s; it is taken for what it means",
            name,
            command,
            "null" if value is None else "JSON within a text, or with null for what is left out",
        )


def takes_null(part: Any, whole: dict[str, Any]) -> bool:
    """Whether this part of the schema ``whole`` allows null."""
    return "null" in _kinds(_resolved(part, whole), whole)


def _property(value: Any, part: Any, required: bool, whole: dict[str, Any]) -> Any:
    if value is None and not required and not takes_null(part, whole):
        return OMITTED
    return _value(value, part, whole)


def _value(value: Any, part: Any, whole: dict[str, Any]) -> Any:
    """The same value, or a corrected one."""
    part = _resolved(part, whole)
    if isinstance(value, str):
        kinds = _kinds(part, whole)
        if "string" in kinds:
            return value
        parsed = _parse(value)
        return _value(parsed, part, whole) if _kind(parsed) in kinds else value
    if isinstance(value, list):
        return _list(cast("list[Any]", value), part, whole)
    if isinstance(value, dict):
        return _object(cast("dict[str, Any]", value), part, whole)
    return value


def _list(value: list[Any], part: Any, whole: dict[str, Any]) -> list[Any]:
    branch = _single_branch(part, "array", whole)
    first: list[Any] = branch.get("prefixItems", [])
    rest = branch.get("items", {})
    items = [
        _value(item, first[i] if i < len(first) else rest, whole) for i, item in enumerate(value)
    ]
    same = all(item is before for item, before in zip(items, value, strict=True))
    return value if same else items


def _object(value: dict[str, Any], part: Any, whole: dict[str, Any]) -> dict[str, Any]:
    branch = _single_branch(part, "object", whole)
    properties: dict[str, Any] = branch.get("properties", {})
    required = branch.get("required", ())
    others: Any = {} if "patternProperties" in branch else branch.get("additionalProperties", {})
    items: dict[str, Any] = {}
    for name, item in value.items():
        if name in properties:
            items[name] = _property(item, properties[name], name in required, whole)
        else:
            items[name] = _value(item, others, whole)
    if all(items[name] is item for name, item in value.items()):
        return value
    return {name: item for name, item in items.items() if item is not OMITTED}


def _single_branch(part: Any, kind: str, whole: dict[str, Any]) -> dict[str, Any]:
    """The only alternative of this kind; if there is not exactly one, an empty schema."""
    if not isinstance(part, dict):
        return {}
    branches = [
        branch
        for each in _alternatives(cast("dict[str, Any]", part))
        if kind in _kinds(branch := _resolved(each, whole), whole)
    ]
    if len(branches) != 1:
        return {}
    inner = branches[0]
    return _single_branch(inner, kind, whole) if _alternatives(inner) != [inner] else inner


def _alternatives(part: dict[str, Any]) -> list[Any]:
    for word in ("anyOf", "oneOf", "allOf"):
        branches: list[Any] = part.get(word, [])
        if branches and (word != "allOf" or len(branches) == 1):
            return branches
    return [part]


def _resolved(part: Any, whole: dict[str, Any]) -> Any:
    """The part itself, or the definition that it refers to."""
    while isinstance(part, dict) and "$ref" in part:
        reference = cast("dict[str, Any]", part)
        name = str(reference["$ref"]).rpartition("/")[2]
        part = whole.get("$defs", {}).get(name, {})
    return cast("Any", part)


def _kinds(part: Any, whole: dict[str, Any]) -> frozenset[str]:
    """The kinds of JSON values that the part allows; all kinds if it names none."""
    if not isinstance(part, dict):
        return KINDS
    schema = cast("dict[str, Any]", part)
    branches = _alternatives(schema)
    if branches != [schema]:
        return frozenset(
            kind for each in branches for kind in _kinds(_resolved(each, whole), whole)
        )
    if "const" in schema:
        return frozenset({_kind(schema["const"])})
    if "enum" in schema:
        return frozenset(map(_kind, schema["enum"]))
    types = schema.get("type", KINDS)
    kinds: set[str] = {types} if isinstance(types, str) else set(types)
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


def _parse(text: str) -> Any:
    """The JSON value of a text; the text itself if it is not JSON."""
    try:
        return json.loads(text, parse_constant=_reject, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _reject(word: str) -> float:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else _reject(text)
