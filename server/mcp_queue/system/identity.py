"""Identities of processes: boot id, pid namespace, pid and start ticks, as one string.

The system reuses pids, so a pid alone does not identify a process. psutil's ``create_time`` changes
when the wall clock is set; raw start ticks do not. Outside Linux, psutil's raw start time replaces
the ticks. There the identity contains the time of the boot, which changes when the clock is set, so
it is ignored when two identities are compared.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALIVE = "alive"
DEAD = "dead"
UNKNOWN = "unknown"

_places: list[tuple[str, str]] = []


def identity_of(pid: int) -> str | None:
    """The identity of the process ``pid``; None if it is dead or a zombie."""
    if sys.platform == "linux":
        ticks = _start_ticks(pid)
        if ticks is None:
            return None
        boot, namespace = _place()
        return f"{boot}|{namespace}|{pid}|{ticks}"
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{psutil.boot_time():.0f}||{pid}|{_start_time(process):.3f}"
    except psutil.NoSuchProcess:
        return None


def own_identity() -> str:
    """The identity of this process."""
    own = identity_of(os.getpid())
    assert own is not None
    return own


def pid_of(identity: str) -> int:
    """The pid in an identity."""
    return int(identity.split("|")[2])


def boot_of(identity: str) -> str:
    """The boot in an identity. Outside Linux it changes when the clock is set."""
    return identity.split("|")[0]


def boot_id() -> str:
    """The id of the current boot; empty on systems that have none."""
    return _place()[0] if sys.platform == "linux" else ""


def is_here(identity: str) -> bool:
    """Whether it is of this boot and pid namespace, so that its pid is valid here."""
    if sys.platform != "linux":
        return True
    return tuple(identity.split("|")[:2]) == _place()


def state_of(identity: str) -> str:
    """``alive``, ``dead``, or ``unknown`` for a process of another pid namespace."""
    boot, namespace, pid, _ = identity.split("|")
    if sys.platform == "linux":
        own_boot, own_namespace = _place()
        if boot != own_boot:
            return DEAD
        if namespace != own_namespace:
            return UNKNOWN
    current = identity_of(int(pid))
    return ALIVE if current is not None and _same(current, identity) else DEAD


def _same(one: str, other: str) -> bool:
    """Whether two identities of one machine belong to the same process."""
    if sys.platform == "linux":
        return one == other
    return one.split("|")[2:] == other.split("|")[2:]


def _start_time(process: Any) -> float:
    """The recorded start time. psutil's public function would adapt it when the clock is set."""
    try:
        return process._proc.create_time(monotonic=True)
    except TypeError:  # on Windows, which does not adapt it, and with psutil before 7.1
        return process.create_time()


def _place() -> tuple[str, str]:
    """The boot id and the pid namespace of this process; they never change."""
    if not _places:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _places.append((file.read().strip(), os.readlink("/proc/self/ns/pid")))
    return _places[0]


def _start_ticks(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The process name in parentheses may contain parentheses; split after the last one.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
