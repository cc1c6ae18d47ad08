"""Limit the size of logs, which runs write directly.

Over the cap the middle of a log is removed; its head and its end stay. A hole replaces the removed
part, so that offsets stay valid. On file systems without holes the log is cut to its head and fills
again. On Windows a file that another process writes cannot be shortened safely, so there logs
have no cap.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from mcp_queue.jobs.capped_log import NO_GAP, Gap, read_gap, write_gap
from mcp_queue.system.holes import punch
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import Run, State

HEAD = 1 << 20  # bytes of the head that stay, at most a quarter of the cap
BLOCK = 4096  # bytes; a hole frees whole blocks only
BUSY = 0.1  # seconds between two checks while runs write
QUIET = 0.4  # the same, at most, while they write nothing


class LogCap:
    """Checks at the logs of runs while any live, and shortens those that are over the cap."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timer: Timer | None = None
        self._interval = BUSY
        self._sizes: dict[str, list[int]] = {}
        """Bytes in the files of both streams of each run at the last check."""

    def begin(self) -> None:
        """Start the checks. Called for each new run."""
        self._interval = BUSY
        if self._timer is None and sys.platform != "win32":
            self._timer = self._state.loop.later(BUSY, self._check_all)

    def finish(self, run: Run) -> None:
        """Check the logs of a dead run for the last time."""
        self._check(run)
        self._sizes.pop(run.run_id, None)

    def _check_all(self) -> None:
        self._timer = None
        if not self._state.runs:
            return
        grown = [self._check(run) for run in self._state.runs.values()]
        self._interval = BUSY if any(grown) else min(2 * self._interval, QUIET)
        self._timer = self._state.loop.later(self._interval, self._check_all)

    def _check(self, run: Run) -> bool:
        """Shorten the logs of a run that are over the cap; True if the run has written."""
        paths = (run.folder.stdout, run.folder.stderr)
        sizes = [_size(path) for path in paths]
        if sizes == self._sizes.get(run.run_id) or sys.platform == "win32":
            return False
        self._sizes[run.run_id] = sizes
        cap = self._state.settings.log_cap_bytes
        for path, size in zip(paths, sizes, strict=True):
            if size > cap:
                try:
                    shorten(path, size, cap)
                except OSError:  # as on a full disk
                    self._sizes.pop(run.run_id, None)  # the next check tries again
        return True


def shorten(path: str, size: int, cap: int) -> None:
    """Remove the middle of a log of ``size`` bytes so that ``cap`` bytes stay."""
    gap = read_gap(path)
    if not gap.cut and size < gap.end:  # the job emptied the file, and with it the hole
        write_gap(path, NO_GAP)
        gap = NO_GAP
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
    # Record it first: readers would see NUL bytes in the hole.
    try:
        write_gap(path, Gap(head, end))
    except OSError:  # the disk is too full for the record; the hole makes room
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
