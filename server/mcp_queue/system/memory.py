"""How much memory a process and all below it have in use: pages in memory, not address space.

What reserves address space without using it (CUDA does) is not counted, and a page that several
processes share (a fork's, shared memory's) counts once where the kernel tells (Linux, by the
*proportional set size* of proc_pid_smaps(5)), else once for each.
"""

from __future__ import annotations

import os
import sys

from mcp_queue.system.tree import descendants_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Meter:
    """Measures one process and its descendants again and again.

    To tell shared pages apart takes the kernel a walk over all pages (40 ms for a GiB), so it is
    asked only when what has grown since it last said might be too much.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._exact: int | None = None
        self._base = 0  # the least in use since, shared pages counted for each process

    def read(self, enough: int, orphans: Iterable[int] = ()) -> int:
        """Bytes in use, never more than ``enough`` if that is not so; what is gone counts nothing.

        ``orphans`` and what is below them count, too. Below ``enough`` it may be a little off.
        """
        pids = [each for pid in (self._pid, *orphans) for each in (pid, *descendants_of(pid))]
        resident = sum(map(_resident, pids))
        self._base = min(self._base, resident)
        if resident <= enough or sys.platform != "linux":
            return resident
        if self._exact is None or self._exact + resident - self._base > enough:
            self._exact, self._base = sum(map(_shared_out, pids)), resident
        return self._exact + resident - self._base


def _resident(pid: int) -> int:
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (FileNotFoundError, ProcessLookupError):
            return 0
    import psutil

    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def _shared_out(pid: int) -> int:
    """The bytes of a process, each divided by the number of those that share it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # gone, of another user, or a kernel that has none
        pass
    return _resident(pid)
