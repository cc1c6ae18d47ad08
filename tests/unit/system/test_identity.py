"""Which process a pid means."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mcp_queue.system import identity
from mcp_queue.system.identity import (
    ALIVE,
    DEAD,
    UNKNOWN,
    identity_of,
    own_identity,
    pid_of,
    state_of,
)
from support.processes import sleeper

linux = pytest.mark.skipif(sys.platform != "linux", reason="the parts are Linux's")


def test_a_living_process_is_alive() -> None:
    assert pid_of(own_identity()) == os.getpid()
    assert own_identity() == own_identity()
    assert state_of(own_identity()) == ALIVE


def test_a_zombie_is_dead_and_so_is_who_was_reaped() -> None:
    with sleeper() as process:
        known = identity_of(process.pid)
        assert known is not None
        assert state_of(known) == ALIVE
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert state_of(known) == DEAD
        assert identity_of(process.pid) is None
    assert state_of(known) == DEAD


def test_two_processes_never_share_an_identity() -> None:
    with sleeper() as one, sleeper() as other:
        assert identity_of(one.pid) != identity_of(other.pid)


def test_a_name_that_looks_like_fields_does_not_mislead() -> None:
    code = "open('/proc/self/comm', 'w').write(') R 1 ('); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        before = identity_of(process.pid)
        assert process.stdout is not None
        process.stdout.readline()
        if sys.platform == "linux":
            assert identity_of(process.pid) == before
        process.kill()


@linux
def test_another_boot_is_dead() -> None:
    _, *rest = own_identity().split("|")
    assert state_of("|".join(["another-boot", *rest])) == DEAD


@linux
def test_another_namespace_is_unknown() -> None:
    boot, _, *rest = own_identity().split("|")
    assert state_of("|".join([boot, "pid:[1]", *rest])) == UNKNOWN


@linux
def test_a_reused_pid_is_another_process() -> None:
    *rest, ticks = own_identity().split("|")
    assert state_of("|".join([*rest, str(int(ticks) - 1)])) == DEAD


@linux
def test_a_moved_clock_moves_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_identity()
    monkeypatch.setattr(identity.os, "times", lambda: None)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert own_identity() == before


def test_without_start_ticks_a_set_clock_makes_nobody_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done on macOS and Windows, with psutil."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with sleeper() as process:
        known = identity_of(process.pid)
        assert known is not None
        _, _, pid, start = known.split("|")
        assert pid_of(known) == process.pid
        assert state_of(f"1||{pid}|{start}") == ALIVE  # the boot seems to have been another time
        assert state_of(f"1||{pid}|{float(start) - 1:.3f}") == DEAD
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identity_of(process.pid) is None
        assert state_of(known) == DEAD
