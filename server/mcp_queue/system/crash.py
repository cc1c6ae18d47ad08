"""Crash points: places in the code where a test can kill this process.

The variable ``MCP_QUEUE_CRASH_POINT`` names the point. Only the tests set it. Each point is in the
code of one kind of process, so it does no harm that a supervisor and its workers inherit the
variable. ``MCP_QUEUE_CRASH_ONCE`` names a file: a process makes it before it crashes, and a process
that finds it does not crash. ``MCP_QUEUE_CRASH_SIGNAL`` is the number of the signal, by default
SIGKILL.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys

POINT = "MCP_QUEUE_CRASH_POINT"
ONCE = "MCP_QUEUE_CRASH_ONCE"
SIGNAL = "MCP_QUEUE_CRASH_SIGNAL"

KILL = 15 if sys.platform == "win32" else 9  # to import signal would slow down a worker's start

IN_SERVER = (
    "submit.before_commit",
    "submit.after_commit",
    "stop.before_commit",
    "stop.after_commit",
    "delete.before_commit",
    "delete.after_commit",
    "evict.before_commit",
    "evict.after_commit",
    "answer.before_commit",
    "answer.after_commit",
)
IN_SUPERVISOR = (
    "claim.before_commit",
    "claim.after_commit",
    "spawn.before_record",
    "spawn.after_record",
    "settle.before_commit",
    "settle.after_commit",
    "retain.before_commit",
    "retain.after_commit",
    "leave.before_commit",
    "leave.after_commit",
    "deliver.before_record",
    "deliver.after_record",
)
IN_WORKER = (
    "worker.before_started",
    "worker.after_started",
    "outcome.before_fsync",
    "outcome.after_fsync",
    "outcome.after_line",
)
ALL = (*IN_SERVER, *IN_SUPERVISOR, *IN_WORKER)


def point(name: str) -> None:
    """Crash here if the environment names this point."""
    if os.environ.get(POINT) == name and _is_first():
        number = int(os.environ.get(SIGNAL) or KILL)
        if sys.platform == "win32" or number == KILL:
            os.kill(os.getpid(), number)
        else:  # os.kill may deliver it to another thread, and this one would go on for a moment
            signal.pthread_kill(_thread.get_ident(), number)


def _is_first() -> bool:
    once = os.environ.get(ONCE)
    if not once:
        return True
    try:
        os.close(os.open(once, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True
