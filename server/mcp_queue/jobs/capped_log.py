"""A log file whose middle may have been removed: reads what remains.

The removed range (the gap) is recorded in a file beside the log (``stdout.log.gap``) before it is
removed. A reader cannot look for holes instead, since some file systems store a job's own NUL bytes
as a hole.

There are three ways to count. *Offsets* count all bytes that the run wrote and never change their
meaning. *Positions* count only the remaining bytes. *Places* are positions in the file, which only
this module uses.
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
    """The bytes from offset ``start`` up to ``end`` were removed."""

    start: int
    end: int
    cut: bool = False
    """The file is shorter by these bytes; otherwise it has a hole in their place."""

    @property
    def length(self) -> int:
        """The number of removed bytes."""
        return self.end - self.start


NO_GAP = Gap(0, 0)


def read_gap(path: str) -> Gap:
    """The gap of the log at ``path``; `NO_GAP` if the log is complete."""
    try:
        start, end, cut = json.loads(ours.read_ours(_beside(path)))
        return Gap(int(start), max(int(start), int(end)), bool(cut))
    except (OSError, ValueError, TypeError):
        return NO_GAP


def write_gap(path: str, gap: Gap) -> None:
    """Record the gap, atomically for all readers. Raises `OSError`."""
    new = _beside(path) + ".new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(ours.open_ours(new, flags), "w", encoding="ascii") as file:
        json.dump([gap.start, gap.end, gap.cut], file)
    os.replace(new, _beside(path))


def _beside(path: str) -> str:
    return path + ".gap"


def torn_end(data: bytes) -> int:
    """The number of bytes at the end that are an incomplete UTF-8 character: 0 to 3."""
    for size, byte in enumerate(reversed(data[-3:]), 1):
        if byte < 0x80 or byte > 0xF4:
            break
        if byte >= 0xC2:
            return size if size < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
    return 0


def torn_start(data: bytes) -> int:
    """The number of bytes at the start that belong to a character before them: 0 to 3."""
    size = 0
    while size < min(3, len(data)) and 0x80 <= data[size] < 0xC0:
        size += 1
    return size


class CappedLog:
    """A log at one moment; a missing file counts as an empty log."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stored = self.gap = read_gap(path)
        try:
            self._in_file = os.lstat(path).st_size
        except FileNotFoundError:
            self._in_file = 0
        if not self.gap.cut and self._in_file < self.gap.end:  # the job emptied the file
            self.gap = NO_GAP
        self._hole = 0 if self.gap.cut else self.gap.length  # bytes in the file to skip
        if self.gap.length:
            self._widen_gap()

    def _widen_gap(self) -> None:
        """Include the rests of characters at both ends of the gap."""
        start, end = self.gap.start, self.gap.end
        after = start + self._hole
        start -= torn_end(self._read(max(0, start - 3), min(3, start)))
        end += torn_start(self._read(after, 3))
        self._hole += end - start - self.gap.length
        self.gap = Gap(start, end, self.gap.cut)

    @property
    def length(self) -> int:
        """The position of the end."""
        if self._in_file <= self.gap.start:
            return self._in_file
        return max(self.gap.start, self._in_file - self._hole)

    @property
    def size(self) -> int:
        """The offset of the end: the number of bytes that the run wrote."""
        return self.offset(self.length)

    def position(self, offset: int) -> int:
        """The position of an offset; for an offset in the gap, the position of the gap."""
        if offset <= self.gap.start:
            return offset
        return max(self.gap.start, offset - self.gap.length)

    def offset(self, position: int) -> int:
        """The offset of a position; at the gap, the offset after it."""
        return position if position < self.gap.start else position + self.gap.length

    def read(self, position: int, length: int) -> bytes:
        """The remaining bytes from a position on, at most ``length``."""
        before = max(0, min(length, self.gap.start - position))
        data = self._read(position, before)
        if len(data) < before:
            return data
        place = max(position, self.gap.start) + self._hole
        return data + self._read(place, length - before)

    def is_current(self) -> bool:
        """Whether the gap has not changed, so that data read since then is valid."""
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


def consistent(path: str, read: Callable[[CappedLog], T]) -> T:
    """The result of ``read`` on the log at ``path``; repeated if the gap changed meanwhile."""
    while True:
        log = CappedLog(path)
        result = read(log)
        if log.is_current():
            return result
