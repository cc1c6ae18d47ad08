"""How far a process stands back for others, in the scale of ``nice``."""

from __future__ import annotations

import errno
import os
import sys


def stand_back(pid: int, niceness: int) -> bool:
    """Give a process, which leads a session of its own, this niceness; False: try again later.

    Linux divides its processors among sessions, each with a niceness of its own (``autogroup``,
    sched(7)), and only within one by the niceness of processes; so both are set. Best effort:
    where it cannot be, the process stays as it is.
    """
    if sys.platform == "win32" or niceness == 0:
        return True
    try:
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    except OSError:  # it is gone, or stands back further already
        pass
    if sys.platform != "linux":
        return True
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(niceness))
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True
