"""The options of a command, and the check of their values at the definition."""

from __future__ import annotations

from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never

OPTIONS: dict[str, Any] = {
    "use_queue": False,
    "timeout": None,
    "max_attempts": 1,
    "memory_limit": None,
    "task": "optional",
    "inline_wait": None,
    "read_only": None,
    "destructive": None,
    "ask_for": (),
    "conditions": None,
}
"""The options of a command, except name, title and description, with their defaults."""
TASKS = ("optional", "required", "never")
NAME_LIMIT = 128  # characters
MAX_ATTEMPTS = 1_000_000
MAX_SECONDS = 1e12  # seconds
VALUE_LIMIT = 200  # characters of a value that is not allowed
CONDITIONS = frozenset(
    {
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "minProperties",
        "maxProperties",
    }
)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def check_name(name: object, definition: object) -> None:
    """Raises InvalidCommandError. It names the ``definition`` if the name is no text."""
    if not isinstance(name, str):
        qualname = getattr(definition, "__qualname__", None) or shown(definition)
        _refuse(qualname, f"a name is a text, got {shown(name)}")
    if not name or not _NAME_CHARACTERS.issuperset(name):
        _refuse(name, "a name consists of letters, digits, '_', '.' and '-'")
    if len(name) > NAME_LIMIT:
        _refuse(name, f"a name has at most {NAME_LIMIT} characters")


def check(name: str, values: Mapping[str, Any]) -> None:
    """Raises InvalidCommandError for a value that its option does not allow."""
    for option, value in values.items():
        fits, allowed = _KINDS[option]
        if not fits(value):
            _refuse(name, f"{option} is {allowed}, got {shown(value)}")


def complete(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a command; omitted ones get their defaults. Raises InvalidCommandError."""
    if unknown := values.keys() - OPTIONS.keys():
        raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
    options = {**OPTIONS, **values}
    check(name, {option: options[option] for option in _KINDS if option in options})
    _check_combination(name, options)
    options["ask_for"] = _ask_for(name, options["ask_for"])
    options["conditions"] = _conditions(name, options["conditions"])
    options["memory_limit"] = _memory_limit(name, options["memory_limit"])
    return options


def _check_combination(name: str, options: Mapping[str, Any]) -> None:
    queued, task = options["use_queue"], options["task"]
    has_wait = options["inline_wait"] is not None
    if task == "required" and not queued:
        reason = "task='required' needs use_queue=True: only a queued call answers as a task"
    elif has_wait and not queued:
        reason = "inline_wait needs use_queue=True: only a queued call can go on without its answer"
    elif has_wait and task == "required":
        reason = "inline_wait has no effect with task='required': a task is answered at once"
    else:
        return
    _refuse(name, reason)


def _ask_for(name: str, ask_for: Any) -> tuple[str, ...]:
    """The option ``ask_for``. Raises InvalidCommandError."""
    if not isinstance(ask_for, (tuple, list)) or not all(isinstance(each, str) for each in ask_for):  # pyright: ignore[reportUnknownVariableType]
        reason = f"ask_for is a tuple of names of parameters, got {shown(ask_for)}"  # pyright: ignore[reportUnknownArgumentType]
        _refuse(name, reason)
    return tuple(ask_for)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _conditions(name: str, value: Any) -> dict[str, Any]:
    """The option ``conditions``. Raises InvalidCommandError."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not CONDITIONS.issuperset(value):  # pyright: ignore[reportUnknownArgumentType]
        known = ", ".join(sorted(CONDITIONS))
        reason = f"conditions is a dict of JSON Schema keywords among {known}, got {shown(value)}"  # pyright: ignore[reportUnknownArgumentType]
        _refuse(name, reason)
    return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _memory_limit(name: str, value: object) -> int | None:
    """The option ``memory_limit``, in bytes. Raises InvalidCommandError."""
    if value is None:
        return None
    from mcp_queue.commands.sizes import ALLOWED, parse_size

    try:
        return parse_size(value)
    except ValueError:
        reason = f"memory_limit is None or {ALLOWED}, got {shown(value)}"
        raise InvalidCommandError(command=name, reason=reason) from None


def shown(value: object) -> str:
    """The text of an author's value for an error. Its ``repr`` may be long, or raise."""
    try:
        return f"{value!r:.{VALUE_LIMIT}}"
    except Exception:  # noqa: BLE001 - an author's ``repr`` may raise anything
        return f"a value of the type {type(value).__name__}"


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_hint(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_task(value: object) -> bool:
    return isinstance(value, str) and value in TASKS


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ATTEMPTS


def _is_duration(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS
    )


_TEXT = (_is_text, "a text or None")
_HINT = (_is_hint, "True, False or None")
_DURATION = (_is_duration, "a positive number of seconds or None")
_KINDS = {
    "title": _TEXT,
    "description": _TEXT,
    "use_queue": (_is_flag, "True or False"),
    "timeout": _DURATION,
    "max_attempts": (_is_count, f"a whole number from 1 to {MAX_ATTEMPTS:,}"),
    "task": (_is_task, f"one of {', '.join(map(repr, TASKS))}"),
    "inline_wait": _DURATION,
    "read_only": _HINT,
    "destructive": _HINT,
}


def _refuse(name: str, reason: str) -> Never:
    raise InvalidCommandError(command=name, reason=reason)
