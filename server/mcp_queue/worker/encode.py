"""A command's return value as JSON, or the place in it that JSON cannot hold."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mcp_queue.commands.contents import Shown


BYTES = "return them as mcp_queue.File(data, name=...), or as an Image or Audio"


class NotSerializableError(Exception):
    """A value cannot be JSON; the message names the place in it."""


def to_json(value: Any, shown: Shown | None = None) -> str:
    """``value`` as compact JSON that is valid UTF-8, without NaN and infinities.

    Pydantic models, dataclasses, paths, dates, UUIDs, decimals, enums, sets and tuples are
    turned into what JSON has for them, and contents into what ``shown`` says. Raises
    `NotSerializableError`, and what ``shown`` raises.
    """
    import json

    def plain(value: Any) -> Any:
        return _plain(value, shown)

    try:
        text = json.dumps(
            value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=plain
        )
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        place = _place(value, "result", set())
        raise NotSerializableError(place or f"result: {type(error).__name__}: {error}") from error
    return text


def depth(text: str) -> int:
    """How many arrays and objects stand inside each other in a JSON text."""
    import re

    deepest = level = 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[][{}]', text):
        if token in "[{":
            level += 1
            deepest = max(deepest, level)
        elif token in "]}":
            level -= 1
    return deepest


def _plain(value: Any, shown: Callable[[object], Any] | None) -> Any:
    """What JSON has for one value that is none of its own types."""
    if shown is not None and (said := shown(value)) is not None:
        return said
    for method in ("model_dump", "isoformat", "__fspath__", "to_dict"):
        call: Any = getattr(value, method, None)
        if call is not None and not isinstance(value, type):
            return _dumped(call, shown) if method == "model_dump" else call()
    fields: Any = getattr(value, "__dataclass_fields__", None)
    if fields is not None and not isinstance(value, type):
        return {name: getattr(value, name) for name in fields}
    if isinstance(value, (set, frozenset)):
        return [*value]  # pyright: ignore[reportUnknownVariableType]
    if type(value).__module__ in ("uuid", "decimal", "ipaddress", "fractions"):
        return str(value)
    from enum import Enum

    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{type(value).__name__} has no JSON form; {BYTES}")  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _dumped(model_dump: Any, shown: Callable[[object], Any] | None) -> Any:
    """A pydantic model; what it does not know may be content."""
    if shown is None:
        return model_dump(mode="json")

    def fallback(value: Any) -> Any:
        return _plain(value, shown)

    return model_dump(mode="json", fallback=fallback)


def _place(value: Any, path: str, seen: set[int]) -> str | None:
    """The first place that JSON cannot hold, in words; None when it is not found."""
    if value is None or isinstance(value, (bool, int, float, str)):
        fault = _fault(value)
        return f"{path}: {fault}" if fault else None
    if id(value) in seen:
        return f"{path}: it contains itself"
    if len(seen) > 200:
        return f"{path}: nested too deeply"
    seen = seen | {id(value)}
    if isinstance(value, dict):
        return _place_in_dict(value, path, seen)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            if found := _place(item, f"{path}[{index}]", seen):
                return found
        return None
    try:
        return _place(_plain(value, _as_nothing), path, seen)
    except Exception as error:
        return f"{path}: {error}"


def _as_nothing(value: object) -> dict[str, Any] | None:
    """Contents are never at fault; whoever made one has imported their module."""
    import sys

    contents = sys.modules.get("mcp_queue.commands.contents")
    return {} if contents is not None and isinstance(value, contents.Content) else None


def _fault(value: object) -> str | None:
    """Why JSON cannot hold a plain value."""
    if isinstance(value, float) and value - value != 0:
        return f"{value} is no JSON number"
    if isinstance(value, str) and not _encodes(value):
        return f"text that is not valid Unicode ({value[:40]!a})"
    return None


def _place_in_dict(value: dict[Any, Any], path: str, seen: set[int]) -> str | None:
    for key, item in value.items():
        if not isinstance(key, (str, int, float, bool, type(None))):
            return f"{path}: the key {key!r:.40} is a {type(key).__name__}, not a string"
        if isinstance(key, str) and not _encodes(key):
            return f"{path}: the key {key[:40]!a} is not valid Unicode"
        if found := _place(item, f"{path}[{key!r:.40}]", seen):
            return found
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
