"""The CPU priority of a process, as a value of ``nice``."""

from __future__ import annotations

import errno
import os
import sys


def stand_back(pid: int, niceness: int) -> bool:
    """Set the niceness of a process that leads its own session; False: try again later.

    Linux distributes processor time among sessions, by the niceness of each session (``autogroup``,
    sched(7)). The niceness of processes counts only within a session. So both are set. This is best
    effort: if it is not possible, the process stays as it is.
    """
    if sys.platform == "win32" or niceness == 0:
        return True
    try:
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    except OSError:  # it has ended, or already has a higher niceness
        pass
    if sys.platform != "linux":
        return True
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(niceness))
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True
