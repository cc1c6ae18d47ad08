"""The run that a process belongs to, by two marks that its children inherit.

The first mark is a variable (`MARK`), which a process may remove from its environment. The second,
on Linux, is the soft limit RLIMIT_RTTIME, which only limits real-time threads. Its value contains
the beginning of the run's id, and is far above any time that such a thread can use. It remains when
the environment is cleared.
"""

from __future__ import annotations

import os
import sys

from mcp_queue.system.identity import identity_of

MARK = "MCP_QUEUE_RUN"
DIGITS = 12  # hexadecimal digits of a run's id that fit into the limit
_BASE = 1 << 62


def mark(pid: int, run_id: str) -> None:
    """Mark a process by its limit, before it starts others; no effect where that is impossible."""
    if sys.platform != "linux":
        return
    import resource

    try:
        _, most = resource.prlimit(pid, resource.RLIMIT_RTTIME)
        if most == resource.RLIM_INFINITY:
            limit = _BASE | int(run_id[:DIGITS], 16)
            resource.prlimit(pid, resource.RLIMIT_RTTIME, (limit, most))
    except (OSError, ValueError, OverflowError):
        pass


def short(run_id: str) -> str:
    """The part of a run's id that both marks contain."""
    return run_id[:DIGITS]


def run_of(pid: int) -> str | None:
    """The run (`short`) that a process of this user belongs to; None if it has no mark."""
    in_environment = _from_environment(pid)
    return short(in_environment) if in_environment is not None else _from_limit(pid)


def belongs(pid: int, run_id: str) -> bool:
    """Whether a process carries a mark of this run."""
    in_environment = _from_environment(pid)
    if in_environment is not None:
        return in_environment == run_id
    return _from_limit(pid) == short(run_id)


def marks() -> dict[int, str]:
    """Every process of this user with a mark, and its run (`short`)."""
    found = ((pid, run_of(pid)) for pid in _pids())
    return {pid: run for pid, run in found if run is not None}


def marked(run_id: str) -> list[int]:
    """All processes of this user that carry a mark of the run."""
    return [pid for pid in _pids() if belongs(pid, run_id)]


def _pids() -> list[int]:
    if sys.platform == "linux":
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil

    return psutil.pids()


def _from_environment(pid: int) -> str | None:
    if sys.platform != "linux":
        return _by_psutil(pid)
    begin = MARK.encode() + b"="
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except OSError:
        return None
    if begin not in content:
        return None
    for entry in content.split(b"\0"):
        if entry.startswith(begin):
            return os.fsdecode(entry[len(begin) :])
    return None


def _by_psutil(pid: int) -> str | None:
    import psutil

    try:
        return psutil.Process(pid).environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _from_limit(pid: int) -> str | None:
    if sys.platform != "linux":
        return None
    import resource

    try:
        limit, _ = resource.prlimit(pid, resource.RLIMIT_RTTIME)
    except (OSError, ValueError, OverflowError):
        return None
    if not 0 <= limit - _BASE < 1 << 4 * DIGITS or identity_of(pid) is None:
        return None  # a zombie still has its limits, but is dead
    return f"{limit - _BASE:0{DIGITS}x}"
