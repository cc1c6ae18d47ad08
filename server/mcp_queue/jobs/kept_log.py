"""A log file of which the middle may be left out: what is kept of it, and where that stands.

What is left out is written down beside the log (``stdout.log.gap``), before it goes: a reader that
looked for holes would take a job's own NUL bytes for one where a file system stores them as such.
Three ways to count: *offsets* are bytes as the run wrote them and never change their meaning,
*positions* count the kept bytes alone, and only this module knows places in the file.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mcp_queue.system import ours

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gap:
    """The bytes from ``start`` up to ``end`` (offsets) are left out."""

    start: int
    end: int
    cut: bool = False
    """They were cut out, so the file is shorter by them; else a hole stands in their place."""

    @property
    def length(self) -> int:
        """How many bytes are left out."""
        return self.end - self.start


NOTHING = Gap(0, 0)


def read_gap(path: str) -> Gap:
    """What is left out of the log at ``path``; `NOTHING` when it is whole."""
    try:
        start, end, cut = json.loads(ours.read_ours(_beside(path)))
        return Gap(int(start), max(int(start), int(end)), bool(cut))
    except (OSError, ValueError, TypeError):
        return NOTHING


def write_gap(path: str, gap: Gap) -> None:
    """Write down what is left out, at once for every reader. Raises `OSError`."""
    new = _beside(path) + ".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(ours.open_ours(new, flags), "w", encoding="ascii") as file:
        json.dump([gap.start, gap.end, gap.cut], file)
    os.replace(new, _beside(path))


def _beside(path: str) -> str:
    return path + ".gap"


def torn_end(data: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 without ending it: 0 to 3."""
    for size, byte in enumerate(reversed(data[-3:]), 1):
        if byte < 0x80 or byte > 0xF4:
            break
        if byte >= 0xC2:
            return size if size < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
    return 0


def torn_start(data: bytes) -> int:
    """How many bytes at the start go on with a character that began before: 0 to 3."""
    size = 0
    while size < min(3, len(data)) and 0x80 <= data[size] < 0xC0:
        size += 1
    return size


class KeptLog:
    """A log as it is at one moment; a missing file is an empty one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stored = self.gap = read_gap(path)
        try:
            self._in_file = os.lstat(path).st_size
        except FileNotFoundError:
            self._in_file = 0
        if not self.gap.cut and self._in_file < self.gap.end:  # somebody emptied it
            self.gap = NOTHING
        self._hole = 0 if self.gap.cut else self.gap.length  # bytes in the file that are not kept
        if self.gap.length:
            self._leave_out_torn()

    def _leave_out_torn(self) -> None:
        """What the gap left of the characters at its two ends is left out as well."""
        start, end = self.gap.start, self.gap.end
        behind = start + self._hole
        start -= torn_end(self._read(max(0, start - 3), min(3, start)))
        end += torn_start(self._read(behind, 3))
        self._hole += end - start - self.gap.length
        self.gap = Gap(start, end, self.gap.cut)

    @property
    def kept(self) -> int:
        """The position of the end."""
        if self._in_file <= self.gap.start:
            return self._in_file
        return max(self.gap.start, self._in_file - self._hole)

    @property
    def size(self) -> int:
        """The offset of the end: bytes that the run wrote."""
        return self.offset(self.kept)

    def position(self, offset: int) -> int:
        """Where an offset is among the kept bytes; one that is left out is where the gap is."""
        if offset <= self.gap.start:
            return offset
        return max(self.gap.start, offset - self.gap.length)

    def offset(self, position: int) -> int:
        """The offset of a position; at the gap, the one behind it."""
        return position if position < self.gap.start else position + self.gap.length

    def read(self, position: int, length: int) -> bytes:
        """The kept bytes from a position on, at most ``length``."""
        before = max(0, min(length, self.gap.start - position))
        data = self._read(position, before)
        if len(data) < before:
            return data
        place = max(position, self.gap.start) + self._hole
        return data + self._read(place, length - before)

    def is_current(self) -> bool:
        """Whether what was read since is what it seems: nothing more was left out meanwhile."""
        return read_gap(self._path) == self._stored

    def _read(self, place: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            with open(ours.open_ours(self._path, os.O_RDONLY), "rb") as file:
                file.seek(place)
                return file.read(length)
        except FileNotFoundError:
            return b""


def consistent(path: str, read: Callable[[KeptLog], T]) -> T:
    """What ``read`` finds in the log at ``path``, read again if more was left out meanwhile."""
    while True:
        log = KeptLog(path)
        found = read(log)
        if log.is_current():
            return found
