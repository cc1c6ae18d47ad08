"""Conversion of values to JSON: results of commands, queued or not, and parameters of jobs.

The rule for results: the same JSON as pydantic's JSON mode gives, where that is JSON. Not-a-number,
infinities, bytes and text that is not valid Unicode are refused, and the error names the place in
the value. The rule for parameters: values that JSON would change are refused.

Standard library only, and imported only where it is used: every worker imports this module.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Convert = Callable[[Any], Any]

DEPTH = 200  # nested arrays and objects that the walk over a value accepts
CONTENT = "return mcp_queue.File(data, name=...), or an Image or Audio"


class NotJsonError(Exception):
    """A value cannot be JSON; the text names the place in the value and the reason."""


def to_json(value: Any, place: str, shown: Convert | None = None) -> str:
    """``value`` as compact JSON that is valid UTF-8.

    ``place`` is the value's name in errors. ``shown`` is called first with each value that is no
    JSON type; it returns a replacement, or None. Raises `NotJsonError`, and the exceptions of
    ``shown`` and of the value's own methods.
    """
    import json

    convert = _Conversion(shown)

    def text_of(value: Any) -> str:
        return json.dumps(
            value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=convert
        )

    try:
        text = text_of(value)
        if '"null":' not in text:  # json writes the key None as "null", pydantic as "None"
            text.encode()
            return text
    except (TypeError, ValueError, RecursionError):
        pass  # the walk converts keys, too, and names the place of a fault
    try:
        text = text_of(_walk(value, place, convert))
        text.encode()
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"{place}: {error}") from error
    return text


def exact_json(value: Any, place: str) -> str:
    """``value`` as JSON. Raises `NotJsonError` if JSON would change it; tuples become lists."""
    import json

    return json.dumps(_walk(value, place, None), allow_nan=False)


def depth(text: str) -> int:
    """The depth of nested arrays and objects in a JSON text."""
    import re

    deepest = level = 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[][{}]', text):
        if token in "[{":
            level += 1
            deepest = max(deepest, level)
        elif token in "]}":
            level -= 1
    return deepest


class _Conversion:
    """Converts a value that is no JSON type. Raises TypeError if there is no form for it."""

    def __init__(self, shown: Convert | None) -> None:
        self._shown = shown
        self._iterated: dict[int, tuple[Any, list[Any]]] = {}  # iterators and their items

    def __call__(self, value: Any) -> Any:
        if self._shown is not None and (content := self._shown(value)) is not None:
            return content
        if isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"{_name_of(value)} is no JSON value; {CONTENT}")  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(value, type):
            raise TypeError(f"the class {_name_of(value)} is no JSON value")
        try:
            for convert in (self._by_its_own_method, self._collected, _by_its_type):
                if (converted := convert(value)) is not _NO_FORM:
                    return converted
        except TypeError:
            raise
        except Exception as error:
            name, cause = _name_of(value), f"{type(error).__name__}: {error}"
            raise TypeError(f"a value of type {name} cannot be made JSON: {cause}") from error
        raise TypeError(f"JSON has no form for a value of type {_name_of(value)}")

    def _by_its_own_method(self, value: Any) -> Any:
        """Pydantic models, dates and times, paths, results of commands."""
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", fallback=self)
        if hasattr(value, "isoformat"):
            text = value.isoformat()
            return f"{text[:-6]}Z" if text.endswith("+00:00") else text
        for method in ("__fspath__", "to_dict"):
            if hasattr(value, method):
                return getattr(value, method)()
        return _NO_FORM

    def _collected(self, value: Any) -> Any:
        if isinstance(value, (set, frozenset, deque)):
            return [*value]  # pyright: ignore[reportUnknownVariableType]
        if not hasattr(value, "__next__"):
            return _NO_FORM
        if id(value) not in self._iterated:
            self._iterated[id(value)] = value, [*value]
        return self._iterated[id(value)][1]


class _NoForm:
    """The result of a conversion that does not apply. None would be a valid form."""


_NO_FORM = _NoForm()


def _by_its_type(value: Any) -> Any:
    fields: Any = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name) for name in fields}
    module: str = type(value).__module__
    if module in ("uuid", "decimal", "ipaddress", "fractions"):
        return str(value)
    if module == "re":
        return value.pattern
    if isinstance(value, complex):
        return str(value).strip("()")
    if module.partition(".")[0] in ("pydantic", "pydantic_core"):
        from pydantic_core import to_jsonable_python  # already imported, since the value exists

        return to_jsonable_python(value)
    from datetime import timedelta
    from enum import Enum

    if isinstance(value, Enum):
        return value.value
    return _duration(value) if isinstance(value, timedelta) else _NO_FORM


def _duration(value: Any) -> str:
    """A timedelta in ISO 8601 form, with years of 365 days, as pydantic writes it."""
    length = abs(value)
    years, days = divmod(length.days, 365)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06}".rstrip("0") if length.microseconds else ""
    date = "".join(f"{number}{unit}" for number, unit in ((years, "Y"), (days, "D")) if number)
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction:
        time += f"{seconds}{fraction}S"
    if not (date or time):
        time = "0S"
    return f"{'-' if value.days < 0 else ''}P{date}{'T' if time else ''}{time}"


def _walk(value: Any, place: str, convert: Convert | None, around: tuple[int, ...] = ()) -> Any:
    """``value`` as JSON types, with text keys. Raises `NotJsonError` with the place.

    Without ``convert``, every value and key that is no JSON type is a fault.
    """
    if fault := _fault(value, strict=convert is not None):
        raise NotJsonError(f"{place}: {fault}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if id(value) in around:
        raise NotJsonError(f"{place}: it contains itself")
    if len(around) == DEPTH:
        raise NotJsonError(f"{place}: nested more than {DEPTH} deep")
    around = (*around, id(value))
    if isinstance(value, dict):
        return {
            _key(key, place, convert): _walk(item, f"{place}[{key!r:.40}]", convert, around)
            for key, item in value.items()  # pyright: ignore[reportUnknownVariableType]
        }
    if isinstance(value, (list, tuple)):
        return [
            _walk(item, f"{place}[{index}]", convert, around)
            for index, item in enumerate(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        ]
    if convert is None:
        kind = _name_of(value)
        raise NotJsonError(f"{place}: JSON cannot hold a value of type {kind} ({value!r:.80})")
    return _walk(_converted(value, place, convert), place, convert, around)


def _key(key: Any, place: str, convert: Convert | None) -> str:
    """A key as text, as pydantic writes it; the parts of a tuple are joined with commas."""
    if isinstance(key, str):
        if convert is not None and not _encodes(key):
            raise NotJsonError(f"{place}: the key {key[:40]!a} is not valid Unicode")
        return str(key)
    if convert is None:
        kind = _name_of(key)
        raise NotJsonError(f"{place}: the key {key!r:.40} is of type {kind}, not text")
    if isinstance(key, tuple):
        return ",".join(_key(part, place, convert) for part in key)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(key, bool):
        return str(key).lower()
    if fault := _fault(key, strict=True):
        raise NotJsonError(f"{place}: the key {key!r:.40}: {fault}")
    if isinstance(key, (int, float)):
        return int.__repr__(key) if isinstance(key, int) else float.__repr__(key)
    if key is None:
        return "None"
    plain = _converted(key, f"{place}: the key {key!r:.40}", convert)
    if isinstance(plain, (dict, list)):
        raise NotJsonError(f"{place}: the key {key!r:.40} is of type {_name_of(key)}")
    return _key(plain, place, convert)


def _converted(value: Any, place: str, convert: Convert) -> Any:
    try:
        return convert(value)
    except TypeError as error:
        raise NotJsonError(f"{place}: {error}") from error


def _fault(value: object, *, strict: bool) -> str | None:
    """Why a value cannot be JSON, if it is a number or a text; ``strict``: why not in UTF-8."""
    if isinstance(value, float) and value - value != 0:
        return f"{float(value)} is no JSON number; use None or a text in its place"
    if strict and isinstance(value, str) and not _encodes(value):
        return f"text that is not valid Unicode ({value[:40]!a})"
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name_of(value: object) -> str:
    """The name of a class, or of the class of a value."""
    kind = value if isinstance(value, type) else type(value)
    builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}"
