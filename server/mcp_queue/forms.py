"""Forms of MCP's elicitation: checks of their schemas, and of answers to them.

The schema of a form is a flat object of text, numbers, yes or no, and choices among texts
(specification 2026-07-28, client/elicitation, "Requested Schema"). Standard library only, because
workers, the supervisor and servers use this module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeGuard

ACTIONS = ("accept", "decline", "cancel")
FORMATS = ("email", "uri", "date", "date-time")
MESSAGE_LIMIT = 4096  # characters of a question
SCHEMA_LIMIT = 16 * 1024  # bytes of a form's schema as JSON
FIELDS_LIMIT = 50
TRIES = 3  # a form is shown so many times within one request while its answers do not fit
TOO_LARGE = 1e300  # numbers from here on are not accepted in a form

CONFIRM: dict[str, Any] = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Yes"}},
    "required": ["confirm"],
}
"""The form of a yes-or-no question."""

_KEYS = frozenset({"type", "title", "description", "default"})
_KEYS_OF_TYPE = {
    "string": frozenset({"minLength", "maxLength", "format", "enum", "enumNames", "oneOf"}),
    "number": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"minimum", "maximum"}),
    "boolean": frozenset[str](),
    "array": frozenset({"minItems", "maxItems", "items"}),
}
_TYPES = "text, numbers, yes or no, and choices among texts"
_TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}


def fault_in(schema: object) -> str | None:
    """Why clients cannot show a form with this schema, in words; None if they can."""
    if not _is_object(schema) or schema.get("type") != "object":
        return "it is no schema of an object"
    if unknown := sorted(set(schema) - {"$schema", "type", "properties", "required"}):
        return f"it uses {unknown[0]!r:.80}; a form has properties and which are required"
    fields, required = schema.get("properties"), schema.get("required", [])
    if not _is_object(fields) or not fields:
        return "it has no field"
    if len(fields) > FIELDS_LIMIT:
        return f"it has {len(fields)} fields; a form has at most {FIELDS_LIMIT}"
    if not _are_texts(required) or not set(required) <= set(fields):
        return "required is no list of its fields"
    for name, field in fields.items():
        if fault := _fault_of_field(field):
            return f"the field {name!r:.80} {fault}"
    return None


def fitted(schema: Mapping[str, Any], content: object) -> tuple[dict[str, Any], list[str]]:
    """The values of an answer to a form, and a sentence for each fault in them.

    A field with null counts as left out.
    """
    if not _is_object(content):
        return {}, [f"content is an object with the fields of the form, got {content!r:.80}"]
    fields: Mapping[str, Any] = schema["properties"]
    values = {name: value for name, value in content.items() if value is not None}
    faults = [f"{name!r:.80} is no field" for name in values if name not in fields]
    faults += [f"{name!r} is missing" for name in schema.get("required", ()) if name not in values]
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            continue
        if not _fits(field, value):
            faults.append(f"{name!r} should be {words(field)}, got {value!r:.80}")
        elif field["type"] == "integer":
            values[name] = int(value)
    return values, faults


def known(schema: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the form's fields only; clients may send other values, too."""
    return {name: value for name, value in content.items() if name in schema["properties"]}


def again(message: str, faults: str) -> str:
    """The message of a form that is shown again because the answer did not fit."""
    return f"{message}\n(Again, please: {faults}.)"


def allowed(schema: Mapping[str, Any]) -> str:
    """The fields of a form in one line: their names, types, and which are optional."""
    required = schema.get("required", ())
    parts = [
        f"{name}: {words(field)}" + ("" if name in required else " (optional)")
        for name, field in schema["properties"].items()
    ]
    return ", ".join(parts)


def words(field: Mapping[str, Any]) -> str:
    """The values that a field accepts, in a few words."""
    texts = choices(field)
    if field["type"] == "array":
        return f"a list of {_listed(choices(field['items']))}" + _limits(field, "Items", " of them")
    if texts:
        return f"one of {_listed(texts)}"
    text = _TYPE_WORDS[field["type"]]
    if "format" in field:
        text += f" ({field['format']})"
    for key, sign in (("minimum", ">="), ("maximum", "<=")):
        if key in field:
            text += f" {sign} {field[key]:g}"
    return text + _limits(field, "Length", " characters")


def choices(field: Mapping[str, Any]) -> list[str]:
    """The texts that a field or an item accepts; empty if it has no choices."""
    titled = field.get("oneOf") or field.get("anyOf") or ()
    return list(field.get("enum") or (choice["const"] for choice in titled))


def _fault_of_field(field: object) -> str | None:
    if not _is_object(field):
        return "has no schema"
    kind = field.get("type")
    if not isinstance(kind, str) or kind not in _KEYS_OF_TYPE:
        what = f"of type {kind!r:.40}" if isinstance(kind, str) else "not of one simple type"
        return f"is {what}; a form takes {_TYPES}"
    if kind != "string" and "enum" in field:
        return f"has choices that are no texts: {field['enum']!r:.80}"
    if field.get("writeOnly"):
        return "is a secret, and a form must not ask for secrets"
    if unknown := sorted(set(field) - _KEYS - _KEYS_OF_TYPE[kind]):
        return f"uses {unknown[0]!r:.80}, which clients do not know in a form"
    if fault := _fault_of_keys(field) or _fault_of_choices(field):
        return fault
    if "default" in field and not _fits(field, field["default"]):
        return f"has a default that does not fit it: {field['default']!r:.80}"
    return None


def _fault_of_keys(field: Mapping[str, Any]) -> str | None:
    if not all(isinstance(field[key], str) for key in ("title", "description") if key in field):
        return "has a title or description that is no text"
    for key in ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
        if key in field and not _is_number(field[key]):
            return f"has a {key} that is no number"
    if "format" in field and field["format"] not in FORMATS:
        return f"has the format {field['format']!r:.40}; a form knows {', '.join(FORMATS)}"
    return None


def _fault_of_choices(field: Mapping[str, Any]) -> str | None:
    if field["type"] == "array":
        items = field.get("items")
        if not _is_object(items) or not set(items) <= {"type", "enum", "anyOf"}:
            return "is a list of something else than choices among texts"
        if not _has_choices(items, "anyOf"):
            return "is a list of something else than choices among texts"
        return None
    if not {"enum", "oneOf"} & set(field):
        return "has enumNames without enum" if "enumNames" in field else None
    if not _has_choices(field, "oneOf"):
        return "has choices that are no texts"
    names = field.get("enumNames", [])
    if not _are_texts(names) or ("enumNames" in field and len(names) != len(choices(field))):
        return "has enumNames that are no texts, one for each choice"
    return None


def _has_choices(field: Mapping[str, Any], titled: str) -> bool:
    """Whether a field has either plain choices or titled ones, and at least one."""
    if ("enum" in field) == (titled in field):
        return False
    if "enum" in field:
        return _are_texts(field["enum"]) and bool(field["enum"])
    return _is_list(field[titled]) and bool(field[titled]) and all(map(_is_titled, field[titled]))


def _is_titled(choice: object) -> bool:
    return (
        _is_object(choice)
        and set(choice) == {"const", "title"}
        and _are_texts([choice["const"], choice["title"]])
    )


def _fits(field: Mapping[str, Any], value: object) -> bool:
    kind = field["type"]
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("number", "integer"):
        if not _is_number(value) or (kind == "integer" and value != int(value)):
            return False
        return field.get("minimum", value) <= value <= field.get("maximum", value)
    if kind == "array":
        texts = set(choices(field["items"]))
        return _are_texts(value) and set(value) <= texts and _has_size(field, "Items", len(value))
    if not isinstance(value, str) or not _has_size(field, "Length", len(value)):
        return False
    texts = choices(field)
    return value in texts if texts else _has_format(value, field.get("format"))


def _has_format(text: str, name: str | None) -> bool:
    if name == "email":
        before, at, after = text.rpartition("@")
        return bool(before and at and after) and not any(map(str.isspace, text))
    if name == "uri":
        scheme, colon, rest = text.partition(":")
        return bool(scheme[:1].isalpha() and colon and rest) and not any(map(str.isspace, text))
    if name in ("date", "date-time"):
        import datetime

        kind = datetime.date if name == "date" else datetime.datetime
        try:
            kind.fromisoformat(text)
        except ValueError:
            return False
    return True


def _has_size(field: Mapping[str, Any], key: str, size: int) -> bool:
    return field.get("min" + key, size) <= size <= field.get("max" + key, size)


def _limits(field: Mapping[str, Any], key: str, unit: str) -> str:
    low, high = field.get("min" + key), field.get("max" + key)
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f", at {'most' if low is None else 'least'} {high if low is None else low}{unit}"
    return f", {low} to {high}{unit}"


def _listed(texts: list[str]) -> str:
    shown = ", ".join(f"{text!r:.60}" for text in texts[:20])
    return shown if len(texts) <= 20 else f"{shown} and {len(texts) - 20} more"


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)  # pyright: ignore[reportUnknownVariableType]


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return _is_list(value) and all(isinstance(item, str) for item in value)


def _is_number(value: object) -> TypeGuard[float]:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < TOO_LARGE
    )
