"""The supervisor process: take the lock, adopt, then look whenever a bell or a death calls."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from functools import partial

from mcp_queue import clock
from mcp_queue.errors import QueueError, RegistryDamagedError, RegistryGoneError
from mcp_queue.jobs import lives, member_rows, setting_rows, start_report
from mcp_queue.jobs.bell import Bell
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.supervisor import (
    adopt,
    dispatch,
    erasure,
    folders,
    members,
    questions,
    retain,
    settle,
    shutdown,
    stop,
)
from mcp_queue.supervisor.executors import local
from mcp_queue.supervisor.loop import Loop
from mcp_queue.supervisor.state import State
from mcp_queue.system.locks import FileLock
from mcp_queue.system.spawn import detach

LOOK_INTERVAL = 2.0  # seconds between looks while runs live, should a ring be lost
TROUBLE_RETRY = 0.5  # seconds until the next look, while the registry cannot be written
TROUBLE_PAUSE = 0.05  # seconds, so that a descriptor which stays readable makes no busy loop
START_TIMEOUT = 60.0  # seconds that a start waits for the write of a stopped server, say
BUSY_TIMEOUT = 2.0  # seconds that all else waits for it: stops and timeouts have to be seen to
LOCK_RETRY = 0.02  # seconds; only while another supervisor is leaving
LOCK_PATIENCE = 10.0  # seconds that one which leaves may take


def main() -> None:
    """Supervise the registry of the command line until there is nobody to stay for."""
    path, owner, key_file = sys.argv[1:4]
    detach()
    if owner and not os.path.exists(path):  # its in-memory registry is gone already
        start_report.report(start_report.NOT_NEEDED)
        return
    local.prepare()
    folder = RegistryFolder(path)
    folder.make()
    registry = Registry(path, busy_timeout=START_TIMEOUT)
    lock = FileLock(folder.lock)
    if _take(lock, registry):
        _supervise(registry, folder, owner, key_file)
    else:
        start_report.report(start_report.NOT_NEEDED)
    registry.close()
    lock.release()


def _take(lock: FileLock, registry: Registry) -> bool:
    """Take the lock; False when a supervisor that stays holds it."""
    deadline = clock.monotonic() + LOCK_PATIENCE
    while not lock.try_acquire():
        if lives.supervisor(registry) is not None:
            return False
        # Its holder has cleared its row and leaves, has not written it yet, or asks who lives.
        if clock.monotonic() > deadline:
            raise TimeoutError("another process holds the lock, and is not the recorded supervisor")
        time.sleep(LOCK_RETRY)
    return True


def _supervise(registry: Registry, folder: RegistryFolder, owner: str, key_file: str) -> None:
    loop = Loop()
    state = State(
        registry=registry,
        folder=folder,
        loop=loop,
        bell=Bell(folder.bell),
        executor=local.LocalExecutor(),
        settings=setting_rows.in_force(registry),
        key_file=key_file,
        owner=owner,
    )
    state.look = partial(_look, state)
    loop.contain((QueueError, OSError), partial(_in_trouble, state))
    members.take_charge(state)
    start_report.report(start_report.IN_CHARGE)
    loop.on_readable(state.bell, partial(_rung, state))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.on_signal(number, loop.stop)
    if sys.platform != "win32":
        loop.on_signal(signal.SIGCHLD, state.executor.reap)
    adopt.adopt(state)
    registry.wait_at_most(BUSY_TIMEOUT)
    state.look_soon()
    _look_now_and_then(state)
    try:
        loop.run()
    finally:
        state.bell.close(remove=state.shutting_down)
        loop.close()
        if state.shutting_down:
            registry.close()
            shutil.rmtree(os.path.dirname(registry.path), ignore_errors=True)
        else:
            with suppress(QueueError):
                member_rows.leave_charge(registry, only_idle=False)


def _in_trouble(state: State, error: Exception) -> None:
    """Nothing can be stored: a locked registry, a full disk. Runs go on; look again later.

    When the registry itself is gone, nobody can know of its runs any more: they end. When it is
    damaged they go on, since their folders keep what they do, and with the last of them we leave:
    the next server keeps it all aside (`jobs.damage`).
    """
    if isinstance(error, RegistryGoneError):
        for run in state.runs.values():
            run.worker.kill()
        state.loop.stop()
    elif isinstance(error, RegistryDamagedError):
        _leave_if_all_are_dead(state)
    if str(error) != state.trouble:
        state.trouble = str(error)
        with suppress(OSError):  # the log may lie on the same full disk
            print(f"{clock.iso(clock.wall())} {error}", file=sys.stderr, flush=True)
    time.sleep(TROUBLE_PAUSE)
    state.look_in(TROUBLE_RETRY)


def _leave_if_all_are_dead(state: State) -> None:
    if all(run.death is not None for run in state.runs.values()):
        for run in state.runs.values():
            run.worker.clear()
        state.loop.stop()


def _rung(state: State) -> None:
    state.bell.hush()
    _look(state)


def _look(state: State) -> None:
    """Take in everything that may have changed, in the order in which it matters."""
    state.settings = setting_rows.in_force(state.registry)
    stop.obey(state)
    members.read_servers(state)
    if members.handed_over(state):
        state.loop.stop()
        return
    for run in list(state.runs.values()):
        settle.collect(state, run)
    questions.deliver(state)
    dispatch.dispatch(state)
    retain.keep_time(state)
    _look_for_damage(state)
    members.ring_servers(state)
    folders.remove_remains(state)
    erasure.consider(state)
    members.consider_leaving(state)
    state.trouble = ""
    if shutdown.finished(state):
        state.loop.stop()


def _look_for_damage(state: State) -> None:
    """Meet the damage that somebody met: if nothing runs, we are to leave (`_in_trouble`)."""
    if not state.runs and os.path.exists(state.folder.damaged):
        from mcp_queue.jobs import damage  # rarely needed

        damage.confirm(state.registry.path)


def _look_now_and_then(state: State) -> None:
    state.loop.later(LOOK_INTERVAL, partial(_look_now_and_then, state))
    state.registry.check_there()
    if not os.path.exists(state.bell.path):
        _hang_again(state)
    if state.runs or members.has_unwatched(state):
        _look(state)


def _hang_again(state: State) -> None:
    """Another bell for one that was removed with the registry's folder."""
    state.folder.make()
    state.loop.forget(state.bell)
    state.bell.close(remove=False)
    state.bell = Bell(state.folder.bell)
    state.loop.on_readable(state.bell, partial(_rung, state))
    state.look_soon()
