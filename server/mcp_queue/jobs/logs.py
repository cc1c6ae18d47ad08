"""Read what a run wrote: the end of a stream, or what came since a cursor. Never the whole file.

Offsets are bytes, so they stay right while a job writes. A cursor is opaque to callers and
covers both streams: it names the run and the bytes read of each.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_queue.jobs.folder import RunFolder

STREAMS = ("stdout", "stderr")
BLOCK = 64 * 1024  # bytes read at once
PAGE = 256 * 1024  # bytes of a stream that one answer covers at most
LINE = 16 * 1024  # characters of a line that one answer shows at most


class BadCursorError(ValueError):
    """The text is not a cursor of ours."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a run's output, and the cursor behind them."""

    stdout: list[str]
    stderr: list[str]
    cursor: str
    more: bool
    """More is there already behind the cursor."""


def sizes(folder: RunFolder | None) -> tuple[int, int]:
    """Bytes of both streams; 0 for what does not exist."""
    return _size(folder, "stdout"), _size(folder, "stderr")


def tail(folder: RunFolder | None, run_id: str, streams: tuple[str, ...], lines: int) -> LogPage:
    """The last ``lines`` of each of ``streams``; the cursor stands at their end."""
    pages: dict[str, list[str]] = {"stdout": [], "stderr": []}
    ends: dict[str, int] = {}
    for stream in STREAMS:
        ends[stream] = _size(folder, stream)
        if stream in streams and folder is not None and lines > 0:
            start = _start_of_last(_path(folder, stream), ends[stream], lines)
            data = _read(_path(folder, stream), start, ends[stream] - start)
            pages[stream] = _lines(data)[-lines:]
    cursor = _cursor(run_id, ends["stdout"], ends["stderr"])
    return LogPage(pages["stdout"], pages["stderr"], cursor, more=False)


def since(
    folder: RunFolder | None,
    run_id: str,
    streams: tuple[str, ...],
    cursor: str,
    *,
    ended: bool,
    page: int = PAGE,
) -> LogPage:
    """What came behind ``cursor``, whole lines; the rest of a line too once the job has ended.

    ``page``: bytes of a stream that the answer covers at most; a longer line comes in pieces.
    A cursor of an earlier run of the job starts this run from its beginning. Raises
    `BadCursorError`.
    """
    of_run, *starts = _parse(cursor)
    if of_run != run_id[:8]:
        starts = [0, 0]
    pages: dict[str, list[str]] = {"stdout": [], "stderr": []}
    ends: list[int] = []
    more = False
    for stream, start in zip(STREAMS, starts, strict=True):
        end = start
        if stream in streams and folder is not None:
            size = _size(folder, stream)
            data = _read(_path(folder, stream), start, page)
            if len(data) < page or b"\n" in data:
                data = _whole_lines(data, size - start, ended)
            pages[stream], end = _lines(data), start + len(data)
            more = more or (bool(data) and end < size)
        ends.append(end)
    return LogPage(pages["stdout"], pages["stderr"], _cursor(run_id, *ends), more)


def count_lines(folder: RunFolder | None, stream: str) -> int:
    """The lines of a stream, an unfinished last one included."""
    if folder is None:
        return 0
    count, last = 0, b"\n"
    try:
        with open(_path(folder, stream), "rb") as file:
            while block := file.read(1 << 20):
                count += block.count(b"\n")
                last = block[-1:]
    except FileNotFoundError:
        return 0
    return count + (last != b"\n")


def _path(folder: RunFolder, stream: str) -> str:
    return folder.stdout if stream == "stdout" else folder.stderr


def _size(folder: RunFolder | None, stream: str) -> int:
    try:
        return os.stat(_path(folder, stream)).st_size if folder is not None else 0
    except FileNotFoundError:
        return 0


def _read(path: str, start: int, length: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(length)
    except FileNotFoundError:
        return b""


def _start_of_last(path: str, end: int, lines: int) -> int:
    """Where the last ``lines`` begin, at most `PAGE` bytes before the end.

    A line that is cut by this bound is left out, unless it is all there is.
    """
    start, seen, first = end, 0, None
    while start > max(0, end - PAGE):
        step = min(BLOCK, start)
        block = _read(path, start - step, step)
        if start == end and block.endswith(b"\n"):
            block = block[:-1]
        position = len(block)
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            seen, first = seen + 1, start - step + position + 1
            if seen == lines:
                return first
        start -= step
    return start if start == 0 or first is None else first


def _whole_lines(data: bytes, available: int, ended: bool) -> bytes:
    end = data.rfind(b"\n") + 1
    return data if ended and len(data) == available else data[:end]


def _lines(data: bytes) -> list[str]:
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [_shown(line.rstrip("\r")) for line in lines]


def _shown(line: str) -> str:
    return line if len(line) <= LINE else f"{line[:LINE]}… ({len(line) - LINE} more characters)"


def _cursor(run_id: str, out: int, err: int) -> str:
    return f"{run_id[:8] or '-'}.{out}.{err}"


def _parse(cursor: str) -> tuple[str, int, int]:
    of_run, _, offsets = cursor.partition(".")
    out, _, err = offsets.partition(".")
    if not (out.isascii() and out.isdigit() and err.isascii() and err.isdigit()):
        raise BadCursorError(cursor)
    if len(out) > 18 or len(err) > 18:
        raise BadCursorError(cursor)
    return of_run, int(out), int(err)
