"""The memory that a process and its descendants use: pages in memory, not address space.

Reserved address space that is not used (CUDA reserves much) does not count. On Linux, a page that
several processes share (after a fork, or in shared memory) counts once, by the *proportional set
size* of proc_pid_smaps(5). On other systems it counts for each process.
"""

from __future__ import annotations

import os
import sys

from mcp_queue.system.tree import descendants_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Meter:
    """Measures the memory of one process and its descendants repeatedly.

    To find shared pages, the kernel visits all pages, which takes 40 ms for a GiB. So this exact
    value is read only if the growth since the last exact value could exceed the limit.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._exact: int | None = None
        self._base = 0  # the lowest resident size since then; counts shared pages repeatedly

    def read(self, enough: int, orphans: Iterable[int] = ()) -> int:
        """Bytes in use. A value above ``enough`` is exact; below, it may be slightly wrong.

        ``orphans`` and their descendants count, too. Processes that have ended count nothing.
        """
        pids = [each for pid in (self._pid, *orphans) for each in (pid, *descendants_of(pid))]
        resident = sum(map(_resident, pids))
        self._base = min(self._base, resident)
        if resident <= enough or sys.platform != "linux":
            return resident
        if self._exact is None or self._exact + resident - self._base > enough:
            self._exact, self._base = sum(map(_proportional, pids)), resident
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


def _proportional(pid: int) -> int:
    """The bytes of a process; each page is divided by the number of processes that share it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # the process has ended, or the kernel does not have this file
        pass
    return _resident(pid)
