"""Read the output of a run: the end of a stream, or the part after a cursor; never the whole file.

Offsets count bytes, so they stay valid while a job writes, and when the middle of a log is removed.
A cursor is opaque to callers and covers both streams: it contains the run and an offset in each
stream. Cursors never point into a UTF-8 character.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs.capped_log import CappedLog, consistent, torn_end, torn_start

if TYPE_CHECKING:
    from mcp_queue.jobs.run_folder import RunFolder

STREAMS = ("stdout", "stderr")
START = "start"  # the cursor of the beginning
BLOCK = 64 * 1024  # bytes read at once
PAGE = 256 * 1024  # bytes of a stream that one answer covers at most
EMPTIED = "… the log was emptied, from its beginning: …"  # the line before its new content
LINE = 16 * 1024  # characters of a line that one answer shows at most


class BadCursorError(ValueError):
    """The text is no cursor of this program."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a run's output, and the cursor after them."""

    stdout: list[str]
    stderr: list[str]
    cursor: str
    more: bool
    """There is already more output after the cursor."""


def sizes(folder: RunFolder | None) -> tuple[int, int]:
    """The bytes that the run wrote to each stream, including removed ones; 0 without a file."""
    if folder is None:
        return 0, 0
    return CappedLog(folder.stdout).size, CappedLog(folder.stderr).size


def tail(folder: RunFolder | None, run_id: str, streams: tuple[str, ...], lines: int) -> LogPage:
    """The last ``lines`` of each of ``streams``, and the cursor of their end.

    If a stream ends with an incomplete character, the cursor is before that character, because the
    job may write the rest of it later.
    """
    pages: dict[str, list[str]] = {"stdout": [], "stderr": []}
    ends = dict.fromkeys(STREAMS, 0)
    for stream in STREAMS:
        if folder is not None:
            read = partial(_last_lines, wanted=lines if stream in streams else 0)
            pages[stream], ends[stream] = consistent(_path(folder, stream), read)
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
    """The complete lines after ``cursor``; an incomplete last line, too, if the job has ended.

    A line in place of a gap (`Gap`) says how many bytes are missing. ``page``: the bytes of a
    stream that one answer covers at most; a longer line comes in pieces. A cursor of an earlier run
    of the job reads this run from its beginning. So does a cursor after the end of a log, because
    the job may have emptied the log; then a line says that. Raises `BadCursorError`.
    """
    cursor_run, *starts = _parse(cursor)
    if cursor_run != run_id[:8]:
        starts = [0, 0]
    pages: dict[str, list[str]] = {"stdout": [], "stderr": []}
    ends: list[int] = []
    more = False
    for stream, start in zip(STREAMS, starts, strict=True):
        end = start
        if stream in streams and folder is not None:
            read = partial(_lines_from, start=start, ended=ended, page=page)
            pages[stream], end, size = consistent(_path(folder, stream), read)
            more = more or start < end < size
        ends.append(end)
    return LogPage(pages["stdout"], pages["stderr"], _cursor(run_id, *ends), more)


def count_lines(folder: RunFolder | None, stream: str) -> int:
    """The number of remaining lines of a stream, including an incomplete last line."""
    return consistent(_path(folder, stream), _count_lines) if folder is not None else 0


def _path(folder: RunFolder, stream: str) -> str:
    return folder.stdout if stream == "stdout" else folder.stderr


def _last_lines(log: CappedLog, wanted: int) -> tuple[list[str], int]:
    """The last lines, and the offset of the end."""
    start = _start_of_last(log, wanted) if wanted > 0 else max(0, log.length - 3)
    data = log.read(start, log.length - start)
    end = log.offset(start + len(data) - torn_end(data))
    if wanted <= 0:
        return [], end
    if start > 0 and log.read(start - 1, 1) != b"\n":
        torn = torn_start(data)
        start, data = start + torn, data[torn:]
    before = log.gap.start - start
    if before < 0 or not log.gap.length:
        return _lines(data)[-wanted:], end
    shown = [*_lines(data[:before]), _mark(log.gap.length), *_lines(data[before:])]
    return shown[-wanted:], end


def _lines_from(log: CappedLog, start: int, ended: bool, page: int) -> tuple[list[str], int, int]:
    """The lines after the offset ``start``, the offset after them, and the offset of the end."""
    shown: list[str] = []
    if start > log.size:
        shown, start = [EMPTIED], 0
    position = log.position(start)
    page = max(page, 4)  # at least one character
    data = log.read(position, page)
    cut = len(data) == page
    if start < log.gap.end and position + len(data) >= log.gap.start:
        before = log.gap.start - position
        shown += [*_lines(data[:before]), _mark(log.gap.end - max(start, log.gap.start))]
        position, data = log.gap.start, data[before:]
    if not cut or shown or b"\n" in data:
        data = _whole_lines(data, log.length - position, ended)
    else:
        data = data[: len(data) - torn_end(data)]
    end = max(start, log.offset(position + len(data)))
    return shown + _lines(data), end, log.size


def _count_lines(log: CappedLog) -> int:
    count, position, last = 0, 0, b"\n"
    while block := log.read(position, 1 << 20):
        count += block.count(b"\n")
        position += len(block)
        last = block[-1:]
    return count + (last != b"\n")


def _start_of_last(log: CappedLog, lines: int) -> int:
    """The position where the last ``lines`` begin, at most `PAGE` bytes before the end.

    A line that begins before this limit is left out, unless there is no other.
    """
    end = start = log.length
    seen, first = 0, None
    while start > max(0, end - PAGE):
        step = min(BLOCK, start)
        block = log.read(start - step, step)
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


def _mark(length: int) -> str:
    return f"… {length} bytes left out …"


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
    if cursor == START:
        return START, 0, 0
    cursor_run, _, offsets = cursor.partition(".")
    out, _, err = offsets.partition(".")
    if not (out.isascii() and out.isdigit() and err.isascii() and err.isdigit()):
        raise BadCursorError(cursor)
    if len(out) > 18 or len(err) > 18:
        raise BadCursorError(cursor)
    return cursor_run, int(out), int(err)
