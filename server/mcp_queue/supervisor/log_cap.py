"""Keep logs bounded, though nothing stands between a run and its log files.

Past the cap the middle of a log goes: its head and its end are kept. A hole takes the place of what
goes, so that offsets stay; where there are no holes, the log is cut to its head and fills again. On
Windows a file that another process writes cannot be shortened safely: logs are not capped there.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs.kept_log import NOTHING, Gap, read_gap, write_gap
from mcp_queue.system.holes import punch
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import Run, State

HEAD = 1 << 20  # bytes that are kept of the beginning, at most a quarter of the cap
BLOCK = 4096  # bytes; a hole frees whole blocks only
BUSY = 0.1  # seconds between two looks while runs write
QUIET = 0.4  # the same, at most, while they write nothing


def begin(state: State) -> None:
    """Look from now on; call it for each new run."""
    state.log_interval = BUSY
    if state.log_timer is None and sys.platform != "win32":
        state.log_timer = state.loop.later(BUSY, partial(_look, state))


def _look(state: State) -> None:
    state.log_timer = None
    if not state.runs:
        return
    grown = [check(state, run) for run in state.runs.values()]
    state.log_interval = BUSY if any(grown) else min(2 * state.log_interval, QUIET)
    state.log_timer = state.loop.later(state.log_interval, partial(_look, state))


def check(state: State, run: Run) -> bool:
    """Shorten the logs of a run that are over the cap; True when it wrote since the last time."""
    sizes = [_size(run.folder.stdout), _size(run.folder.stderr)]
    if sizes == run.log_sizes or sys.platform == "win32":
        return False
    run.log_sizes = sizes
    for path, size in zip((run.folder.stdout, run.folder.stderr), sizes, strict=True):
        if size > state.settings.log_cap_bytes:
            try:
                shorten(path, size, state.settings.log_cap_bytes)
            except OSError:  # as on a full disk
                run.log_sizes = []  # the next look tries again
    return True


def shorten(path: str, size: int, cap: int) -> None:
    """Leave out the middle of a log of ``size`` bytes so that ``cap`` of them are kept."""
    gap = read_gap(path)
    if not gap.cut and size < gap.end:  # a job emptied it, and the hole went with the rest
        write_gap(path, NOTHING)
        gap = NOTHING
    head = gap.start or min(HEAD, cap // 4 // BLOCK * BLOCK)
    descriptor = open_ours(path, os.O_WRONLY)
    try:
        if not gap.cut and not _make_hole(path, descriptor, gap, head, size, cap):
            gap = Gap(head, head, cut=True)
        if gap.cut:
            _cut(path, descriptor, gap)
    finally:
        os.close(descriptor)


def _make_hole(path: str, descriptor: int, gap: Gap, head: int, size: int, cap: int) -> bool:
    end = (size - (cap - head)) // BLOCK * BLOCK
    begin = max(head, gap.end)
    if end <= begin:
        return True
    # Readers must know of it first: what is left out reads as NUL bytes.
    try:
        write_gap(path, Gap(head, end))
    except OSError:  # no room for so much as that; the hole will make some
        if not punch(descriptor, begin, end - begin):
            return False
        write_gap(path, Gap(head, end))
        return True
    return punch(descriptor, begin, end - begin)


def _cut(path: str, descriptor: int, gap: Gap) -> None:
    size = os.fstat(descriptor).st_size
    os.ftruncate(descriptor, gap.start)
    write_gap(path, Gap(gap.start, gap.end + size - gap.start, cut=True))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
