"""Error texts for wrong parameters: the parameter, the problem, the value, the allowed values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_queue.commands.near import near
from mcp_queue.errors import InvalidParamsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

SHOWN_PROBLEMS = 5
SHOWN_VALUE = 80  # characters
MAX_DESCRIBED = 50  # errors of one call that get a sentence


def not_an_object(command: str, params: object, schema: dict[str, Any]) -> InvalidParamsError:
    """The error for parameters that are a list, a string and so on."""
    return invalid(command, [f"an object is needed, got {short(params)}"], schema)


def invalid(
    command: str, problems: Sequence[str], schema: dict[str, Any], more: int = 0
) -> InvalidParamsError:
    """The error with the first problems and, as the hint, the parameters of the command.

    ``more``: the number of further problems.
    """
    shown = list(problems[:SHOWN_PROBLEMS])
    if rest := len(problems) - len(shown) + more:
        shown.append(f"and {rest} more")
    return InvalidParamsError(
        command=command, problems="; ".join(shown), advice=allowed(command, schema)
    )


def describe(
    errors: Sequence[ErrorDetails], params: dict[str, Any], schema: dict[str, Any]
) -> list[str]:
    """A sentence for each of pydantic's first `MAX_DESCRIBED` errors."""
    properties: dict[str, Any] = schema["properties"]
    # Pydantic reports each branch of a union; one sentence with all branches is clearer.
    unions = {
        name for name in properties if name in params and len(_branches(properties[name])) > 1
    }
    sentences: list[str] = []
    for error in errors[:MAX_DESCRIBED]:
        name = error["loc"][0] if error["loc"] else ""
        if name in unions and error["type"] != "extra_forbidden":
            kind = type_words(properties[name], schema)
            sentences.append(f"{name!r} should be {kind}, got {short(params[str(name)])}")
        else:
            sentences.append(_sentence(error, list(properties)))
    return list(dict.fromkeys(sentences))


def unknown(name: str, known: Sequence[str]) -> str:
    """The sentence for a parameter that the command does not have."""
    similar = near(name, known, 1)
    question = f", did you mean {similar[0]!r}?" if similar else ""
    return f"{short_name(name)} is unknown{question}"


def allowed(command: str, schema: dict[str, Any]) -> str:
    """The parameters of a command in one line: names, types and defaults."""
    required = schema.get("required", ())
    parts = [
        f"{name}: {type_words(part, schema)}"
        + (" (required)" if name in required else _default(part))
        for name, part in schema["properties"].items()
    ]
    if schema.get("additionalProperties"):
        parts.append("and any other name")
    return f"{command} takes {', '.join(parts) if parts else 'no parameters'}."


def type_words(part: dict[str, Any], schema: dict[str, Any]) -> str:
    """A JSON Schema type in a few words, like ``array of string`` or ``integer >= 1``."""
    if "$ref" in part:
        part = schema.get("$defs", {}).get(part["$ref"].rpartition("/")[2], {})
    branches = _branches(part, with_null=True)
    if branches:
        return " | ".join(dict.fromkeys(type_words(branch, schema) for branch in branches))
    if "const" in part:
        return short(part["const"])
    if "enum" in part:
        return " | ".join(short(value) for value in part["enum"])
    kind = str(part.get("type", "anything"))
    if kind == "array" and part.get("items"):
        return f"array of {type_words(part['items'], schema)}"
    return kind + _limits(part)


def short(value: object) -> str:
    """A value as JSON, cut to a length at which a reader still recognises it."""
    if isinstance(value, (str, bytes)):
        value = value[: SHOWN_VALUE + 1]
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"{value!r}"
    return text if len(text) <= SHOWN_VALUE else text[: SHOWN_VALUE - 1] + "…"


def short_name(name: str) -> str:
    """A parameter's name in quotes, cut if it is long, since callers may send any name."""
    return repr(name if len(name) <= SHOWN_VALUE else name[: SHOWN_VALUE - 1] + "…")


def _sentence(error: ErrorDetails, known: Sequence[str]) -> str:
    location = error["loc"]
    if error["type"] == "extra_forbidden" and len(location) == 1:
        return unknown(str(location[0]), known)
    path = short_name(_path(location))
    if error["type"] == "extra_forbidden":
        return f"{path} is unknown"
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{path} is missing"
    return f"{path} {_complaint(error['msg'])}, got {short(error['input'])}"


def _complaint(message: str) -> str:
    """Pydantic's message as the rest of a sentence that begins with the parameter's name."""
    for beginning in ("Input ", "Value error, ", "Assertion failed, "):
        if message.startswith(beginning):
            message = message.removeprefix(beginning)
            return message if beginning == "Input " else f"is wrong: {message}"
    return f"is wrong: {message[:1].lower()}{message[1:]}"


def _path(location: Sequence[int | str]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _default(part: dict[str, Any]) -> str:
    return f" = {short(part['default'])}" if "default" in part else ""


def _branches(part: dict[str, Any], *, with_null: bool = False) -> list[dict[str, Any]]:
    branches: list[dict[str, Any]] = part.get("anyOf") or part.get("oneOf") or []
    return [branch for branch in branches if with_null or branch.get("type") != "null"]


def _limits(part: dict[str, Any]) -> str:
    words = {
        "minimum": " >= {}",
        "exclusiveMinimum": " > {}",
        "maximum": " <= {}",
        "exclusiveMaximum": " < {}",
        "format": " ({})",
        "pattern": " matching {}",
    }
    return "".join(form.format(part[key]) for key, form in words.items() if key in part)
