"""A scan of JSON that no parser accepts because it is too deep or has a number that is too long.

The scan reads token by token, without recursion, and converts only the id to a value. This module
is imported when a line was refused for the first time.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH = 200  # nested arrays and objects that the SDK's parser accepts
DIGITS = 4300  # of a whole number, that Python's parsers accept
MAX_TOKENS = 500_000  # tokens that are scanned, in a third of a second

_TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
        ("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
      | (-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)
      | (true|false|null)
      | ([\[\]{},:])
    )""",
    re.VERBOSE,
)
_STRING, _NUMBER, _WORD, _MARK = 1, 2, 3, 4  # groups

# The kinds of tokens that may come next.
_VALUE, _FIRST_VALUE, _KEY, _FIRST_KEY, _COLON, _MORE, _END = range(7)


class ScanResult(NamedTuple):
    """Facts about the outermost value of a line of JSON."""

    request_id: str | int | None
    """The value of the key ``id``, if it is a text or a whole number that is not too long."""
    fault: str | None
    """Why no parser accepts the line, in words."""
    parts: list[bytes]
    """The items, if it is an array."""


def scan(line: bytes) -> ScanResult | None:
    """Scan a line; None if it is no JSON in UTF-8, or has too many tokens."""
    try:
        scanner = _Scanner(line.decode())
    except UnicodeDecodeError:
        return None
    return scanner.result() if scanner.scan() else None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[str] = []
        self._next = _VALUE
        self._deepest = self._longest = 0
        self._key = self._id = ""
        self._starts: list[int] = []
        self._ends: list[int] = []

    def scan(self) -> bool:
        """Scan the text; whether it is JSON."""
        position = 0
        for token in self._tokens():
            kind = token.lastindex or 0
            start, position = token.span(kind)
            accept = self._mark if kind == _MARK else partial(self._scalar, kind)
            if not accept(token[kind], start, position):
                return False
        return self._next == _END and not self._text[position:].strip(" \t\n\r")

    def result(self) -> ScanResult:
        """The facts that `scan` found."""
        parts = [
            self._text[start:end].encode()
            for start, end in zip(self._starts, self._ends, strict=True)
        ]
        return ScanResult(_identifier(self._id), self._fault(), parts)

    def _fault(self) -> str | None:
        if self._deepest > DEPTH:
            return f"it is nested more than {DEPTH} deep"
        if self._longest > DIGITS:
            return f"a number in it has more than {DIGITS} digits"
        return None

    def _tokens(self) -> Iterator[re.Match[str]]:
        position = 0
        for _ in range(MAX_TOKENS):
            token = _TOKEN.match(self._text, position)
            if token is None:
                return
            yield token
            position = token.end()

    def _scalar(self, kind: int, text: str, start: int, end: int) -> bool:
        if self._next in (_KEY, _FIRST_KEY):
            if len(self._open) == 1:
                self._key = text
            self._next = _COLON
            return kind == _STRING
        if self._next not in (_VALUE, _FIRST_VALUE):
            return False
        digits = text.removeprefix("-")
        if kind == _NUMBER and digits.isdigit():
            self._longest = max(self._longest, len(digits))
        if self._open == ["{"] and _is_id(self._key):
            self._id = text
        self._begin_value(start)
        self._end_value(end)
        return True

    def _mark(self, mark: str, start: int, end: int) -> bool:
        if mark in "[{":
            return self._open_bracket(mark, start)
        if mark in "]}":
            return self._close_bracket(mark, end)
        if mark == ":":
            expected, self._next = self._next, _VALUE
            return expected == _COLON
        expected = self._next
        self._next = _KEY if self._open and self._open[-1] == "{" else _VALUE
        return expected == _MORE

    def _open_bracket(self, mark: str, start: int) -> bool:
        if self._next not in (_VALUE, _FIRST_VALUE):
            return False
        if self._open == ["{"] and _is_id(self._key):
            self._id = ""
        self._begin_value(start)
        self._open.append(mark)
        self._deepest = max(self._deepest, len(self._open))
        self._next = _FIRST_KEY if mark == "{" else _FIRST_VALUE
        return True

    def _close_bracket(self, mark: str, end: int) -> bool:
        opening, first = ("{", _FIRST_KEY) if mark == "}" else ("[", _FIRST_VALUE)
        if not self._open or self._open[-1] != opening or self._next not in (_MORE, first):
            return False
        self._open.pop()
        self._end_value(end)
        return True

    def _begin_value(self, start: int) -> None:
        if self._open == ["["]:
            self._starts.append(start)

    def _end_value(self, end: int) -> None:
        if self._open == ["["]:
            self._ends.append(end)
        self._next = _MORE if self._open else _END


def _is_id(key: str) -> bool:
    return key == '"id"' or ("\\" in key and json.loads(key) == "id")


def _identifier(text: str) -> str | int | None:
    """The value of a token, if an answer can have it as its id."""
    if not text or text in ("true", "false", "null"):
        return None
    try:
        value = json.loads(text)
    except ValueError:  # too many digits
        return None
    return None if isinstance(value, float) else value
