"""How much memory a process and all below it have in use: resident pages, not address space.

What reserves address space without using it (CUDA does) is not counted; a page that two processes
share is counted twice.
"""

from __future__ import annotations

import os
import sys

from mcp_queue.system.tree import descendants_of


def resident_size(*roots: int) -> int:
    """Resident bytes of these and their descendants; what is gone meanwhile counts nothing."""
    return sum(_resident(each) for pid in roots for each in (pid, *descendants_of(pid)))


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
