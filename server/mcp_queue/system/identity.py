"""Which process a pid means: boot id, pid namespace, pid and start ticks, as one string.

A pid alone is reused; psutil's ``create_time`` moves with the wall clock, raw start ticks do not.
Outside Linux the raw start time that psutil knows stands in for the ticks; the time of the boot,
which moves when the clock is set, is in the identity and does not count when two are compared.
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
    """The identity of the living process ``pid``; None when there is none (a zombie is dead)."""
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
    """The boot of the machine in an identity; outside Linux a set clock looks like another one."""
    return identity.split("|")[0]


def boot_id() -> str:
    """Which boot of the machine this is; empty where only the wall clock could tell."""
    return _place()[0] if sys.platform == "linux" else ""


def is_here(identity: str) -> bool:
    """Whether it is of this boot and pid namespace, so that its pid means something here."""
    if sys.platform != "linux":
        return True
    return tuple(identity.split("|")[:2]) == _place()


def state_of(identity: str) -> str:
    """``alive``, ``dead``, or ``unknown`` when it lives, if at all, in another namespace."""
    boot, namespace, pid, _ = identity.split("|")
    if sys.platform == "linux":
        own_boot, own_namespace = _place()
        if boot != own_boot:
            return DEAD
        if namespace != own_namespace:
            return UNKNOWN
    now = identity_of(int(pid))
    return ALIVE if now is not None and _same(now, identity) else DEAD


def _same(one: str, other: str) -> bool:
    """Whether two identities of one machine mean the same process."""
    if sys.platform == "linux":
        return one == other
    return one.split("|")[2:] == other.split("|")[2:]


def _start_time(process: Any) -> float:
    """When it started, as it was written down then: psutil's public answer follows a set clock."""
    try:
        return process._proc.create_time(monotonic=True)
    except TypeError:  # Windows, whose answer does not, and psutil before 7.1
        return process.create_time()


def _place() -> tuple[str, str]:
    """The boot id and the pid namespace of this process, which do not change in its life."""
    if not _places:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _places.append((file.read().strip(), os.readlink("/proc/self/ns/pid")))
    return _places[0]


def _start_ticks(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything; the fields count from the last one.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
