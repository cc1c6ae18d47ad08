"""The kinds of values that settings take, and how each is read from JSON or from a text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mcp_queue.commands.sizes import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

YEAR = 31_536_000  # seconds; the operating system refuses waits of more than a few decades


@dataclass(frozen=True)
class Kind:
    """The values of a key: ``allowed`` in words, ``check`` for JSON and ``parse`` for a text.

    Both return the value to use, or raise ``ValueError``. ``make_absolute`` makes its paths
    absolute.
    """

    allowed: str
    check: Callable[[object], object]
    parse: Callable[[str], object]
    make_absolute: Callable[[Path, Any], object] = lambda _folder, value: value

    def check_in(self, folder: Path, value: object) -> object:
        """``check``; relative paths start at ``folder``."""
        return self.make_absolute(folder, self.check(value))

    def parse_in(self, folder: Path, text: str) -> object:
        """``parse``; relative paths start at ``folder``."""
        return self.make_absolute(folder, self.parse(text))


def boolean() -> Kind:
    """True or false."""

    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def parse(text: str) -> bool:
        if text.strip().lower() not in words:
            raise ValueError
        return words[text.strip().lower()]

    return Kind("`true` or `false`", check, parse)


def whole(unit: str, low: int, high: int, *, nullable: bool = False) -> Kind:
    """A whole number in a range. ``unit`` is a text such as " of bytes" for the description."""

    def check(value: object) -> int | None:
        if value is None and nullable:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    def parse(text: str) -> int | None:
        return check(None if _is_null(text) else int(text))

    or_null = ", or `null`" if nullable else ""
    return Kind(f"a whole number{unit} from `{low}` to `{high}`{or_null}", check, parse)


def choice(*words: str) -> Kind:
    """One of several words."""

    def check(value: object) -> object:
        if value not in words:
            raise ValueError
        return value

    allowed = " or ".join(f'`"{word}"`' for word in words)
    return Kind(allowed, check, lambda text: check(text.strip().lower()))


def counts(keys: str, low: int, high: int) -> Kind:
    """A whole number in a range for each of several names."""

    count = whole("", low, high)

    def check(value: object) -> dict[str, object] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ValueError
        counts = cast("dict[object, object]", value)
        if not all(isinstance(key, str) and key for key in counts):
            raise ValueError
        return {str(key): count.check(n) for key, n in counts.items()}

    def parse(text: str) -> dict[str, object] | None:
        import json  # late: only limits by job type need it

        return check(json.loads(text))

    return Kind(f"a JSON object of {keys} and {count.allowed}, or `null`", check, parse)


def seconds(*, above_zero: bool = False, nullable: bool = False) -> Kind:
    """A duration of up to a year."""

    def check(value: object) -> float | None:
        if value is None and nullable:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not 0 <= value <= YEAR or (above_zero and value == 0):
            raise ValueError
        return float(value)

    def parse(text: str) -> float | None:
        return check(None if _is_null(text) else float(text))

    start = "above `0` and up to" if above_zero else "from `0` to"
    allowed = f"seconds {start} `{YEAR}`{', or `null`' if nullable else ''}"
    return Kind(allowed, check, parse)


def size() -> Kind:
    """An amount of memory: bytes, or a text with a unit."""

    def check(value: object) -> int | None:
        if value is None:
            return None
        return parse_size(value)

    def parse(text: str) -> int | None:
        return check(None if _is_null(text) else int(text) if text.strip().isdigit() else text)

    return Kind("bytes, a text such as `512MiB` or `2GB`, or `null`", check, parse)


def path() -> Kind:
    """The path of a file."""

    def check(value: object) -> str | None:
        if value is None or (isinstance(value, str) and value.strip() and "\0" not in value):
            return value
        raise ValueError

    def parse(text: str) -> str | None:
        return check(None if _is_null(text) else text)

    return Kind("the path of a file, or `null`", check, parse, _absolute)


def sources() -> Kind:
    """Modules and files that define commands."""

    def check(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError
        names: list[str] = []
        for name in cast("list[object]", value):
            if not isinstance(name, str) or not name.strip():
                raise ValueError
            names.append(name.strip())
        return tuple(names)

    def parse(text: str) -> tuple[str, ...]:
        if text.lstrip().startswith("[") and not _is_file(text):
            import json  # late: only a list in JSON needs it

            return check(json.loads(text))
        return check([part for part in _split(text) if part.strip()])

    def make_absolute(folder: Path, names: tuple[str, ...]) -> tuple[str | None, ...]:
        return tuple(_absolute(folder, name) if _is_path(name) else name for name in names)

    return Kind("a list of modules and of paths of `.py` files", check, parse, make_absolute)


def plugins() -> Kind:
    """Which installed packages may offer commands."""

    def check(value: object) -> str | tuple[str, ...]:
        if value in ("all", "none"):
            return str(value)
        if not isinstance(value, list | tuple):
            raise ValueError
        names = cast("list[object]", value)
        if not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError
        return tuple(str(name).strip() for name in names)

    def parse(text: str) -> str | tuple[str, ...]:
        if text.lstrip().startswith("["):
            import json  # late: only a list in JSON needs it

            return check(json.loads(text))
        names = [name.strip() for name in text.split(",") if name.strip()]
        word = names[0].lower() if len(names) == 1 else ""
        return check(word if word in ("all", "none") else names)

    return Kind('`"all"`, `"none"`, or a list of names of packages', check, parse)


def _split(text: str) -> list[str]:
    """The parts between the separators of PATH and commas; the path of a file may contain both."""
    for separator in (os.pathsep, ","):
        if _is_file(text):
            break
        if separator in text:
            return [part for piece in text.split(separator) for part in _split(piece)]
    return [text]


def _is_file(name: str) -> bool:
    return os.path.isfile(expand(name.strip()))


def _is_null(text: str) -> bool:
    return text.strip().lower() == "null"


def _is_path(name: str) -> bool:
    return name.endswith(".py") or any(mark and mark in name for mark in (os.sep, os.altsep))


def _absolute(folder: Path, path: str | None) -> str | None:
    return path and str(folder / expand(path))


def expand(path: str) -> Path:
    """The path with ``~`` replaced by the user's folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user: the tilde is part of the name
        return Path(path)
