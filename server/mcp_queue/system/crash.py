"""Places in the code where a test may kill this process, as a crash there would.

``MCP_QUEUE_CRASH_POINT`` names the point; unset, as it is for everyone but the tests, nothing
happens. Each point is passed by one kind of process alone, so it does not matter that a
supervisor and its workers inherit the variable. ``MCP_QUEUE_CRASH_ONCE`` names a file that the
first to crash makes; who finds it made goes on, so that a successor does not die as well.
``MCP_QUEUE_CRASH_SIGNAL`` is the number of another signal than SIGKILL.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys

POINT = "MCP_QUEUE_CRASH_POINT"
ONCE = "MCP_QUEUE_CRASH_ONCE"
SIGNAL = "MCP_QUEUE_CRASH_SIGNAL"

KILL = 15 if sys.platform == "win32" else 9  # the module signal costs a worker's start

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
    """Die here if the environment says so."""
    if os.environ.get(POINT) == name and _is_first():
        number = int(os.environ.get(SIGNAL) or KILL)
        if sys.platform == "win32" or number == KILL:
            os.kill(os.getpid(), number)
        else:  # a stop that another thread takes would let this one go on for a moment
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
