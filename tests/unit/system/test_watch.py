"""Watches: the death of any process is seen, and no stranger is ever signalled."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from mcp_queue.system.identity import identity_of, own_identity
from mcp_queue.system.watch import Watch, watch
from support.processes import GUARD, sleeper

linux = pytest.mark.skipif(sys.platform != "linux", reason="the parts are Linux's")


def _watch(identity: str | None) -> Watch:
    assert identity is not None
    watching = watch(identity)
    assert watching is not None
    return watching


def _dead(watching: Watch, seconds: float = 0) -> bool:
    return bool(select.select([watching], [], [], seconds)[0])


def test_a_death_is_seen() -> None:
    with sleeper() as process:
        watching = _watch(identity_of(process.pid))
        assert not _dead(watching)
        process.kill()
        assert _dead(watching, GUARD)
        assert _dead(watching)
        watching.close()


def test_a_process_that_is_no_child_is_watched_too() -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        watching = _watch(identity_of(grandchild))
        assert not _dead(watching)
        assert watching.send(signal.SIGKILL)
        assert _dead(watching, GUARD)
        watching.close()
        parent.kill()


def test_who_is_dead_already_reads_as_dead_at_once() -> None:
    with sleeper() as process:
        identity = identity_of(process.pid)
    watching = _watch(identity)
    assert _dead(watching)
    assert not watching.send(signal.SIGTERM)
    watching.close()


def test_a_zombie_reads_as_dead() -> None:
    with sleeper() as process:
        identity = identity_of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        watching = _watch(identity)
        assert _dead(watching)
        watching.close()


def test_a_signal_arrives() -> None:
    with sleeper() as process:
        watching = _watch(identity_of(process.pid))
        assert watching.send(signal.SIGTERM)
        assert _dead(watching, GUARD)
        assert process.wait(GUARD) == -signal.SIGTERM
        assert not watching.send(signal.SIGTERM)
        watching.close()


@linux
@pytest.mark.parametrize("part", ["boot", "ticks"])
def test_a_stranger_with_a_reused_pid_is_never_signalled(part: str) -> None:
    with sleeper() as stranger:
        identity = identity_of(stranger.pid)
        assert identity is not None
        boot, namespace, pid, ticks = identity.split("|")
        old = (
            f"another-boot|{namespace}|{pid}|{ticks}"
            if part == "boot"
            else f"{boot}|{namespace}|{pid}|{int(ticks) - 1}"
        )
        watching = _watch(old)
        assert _dead(watching)
        assert not watching.send(signal.SIGKILL)
        assert stranger.poll() is None
        watching.close()
        watching = _watch(identity)
        assert not _dead(watching)
        watching.close()


@linux
def test_another_namespace_cannot_be_watched() -> None:
    boot, _, *rest = own_identity().split("|")
    assert watch("|".join([boot, "pid:[1]", *rest])) is None
