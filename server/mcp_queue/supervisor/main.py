"""The supervisor process: take the lock, adopt, then look whenever a bell or a death calls."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from functools import partial

import mcp_queue
from mcp_queue.jobs import member_rows
from mcp_queue.jobs.bell import Bell
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.supervisor import adopt, dispatch, members, retain, settle, shutdown, stop
from mcp_queue.supervisor.executors import local
from mcp_queue.supervisor.loop import Loop
from mcp_queue.supervisor.state import State
from mcp_queue.system.identity import DEAD, own_identity, state_of
from mcp_queue.system.locks import FileLock
from mcp_queue.system.spawn import detach

LOOK_INTERVAL = 2.0  # seconds between looks while runs live, should a ring be lost
BUSY_TIMEOUT = 60.0  # seconds; to die of a stopped server's write would cost exit statuses
LOCK_RETRY = 0.02  # seconds; only while another supervisor is leaving


def main() -> None:
    """Supervise the registry of the command line until there is nobody to stay for."""
    path, owner = sys.argv[1:3]
    detach()
    if owner and not os.path.exists(path):
        return  # its in-memory registry is gone already
    local.prepare()
    folder = RegistryFolder(path)
    folder.make()
    registry = Registry(path, busy_timeout=BUSY_TIMEOUT)
    lock = FileLock(folder.lock)
    if _take(lock, registry):
        _supervise(registry, folder, owner)
    registry.close()
    lock.release()


def _take(lock: FileLock, registry: Registry) -> bool:
    """Take the lock; False when a supervisor that stays holds it."""
    while not lock.try_acquire():
        holder = member_rows.supervisor(registry)
        if holder is not None and state_of(holder.identity) != DEAD:
            return False
        # Its holder has cleared its row and leaves, or has not written it yet.
        time.sleep(LOCK_RETRY)
    return True


def _supervise(registry: Registry, folder: RegistryFolder, owner: str) -> None:
    loop = Loop()
    bell = Bell(folder.bell)
    state = State(
        registry=registry,
        folder=folder,
        loop=loop,
        executor=local.LocalExecutor(),
        settings=members.settings_in_force(registry),
        owner=owner,
    )
    state.look = partial(_look, state)
    member_rows.take_charge(registry, own_identity(), mcp_queue.__version__)
    loop.on_readable(bell, partial(_rung, state, bell))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.on_signal(number, loop.stop)
    adopt.adopt(state)
    state.look_soon()
    _look_now_and_then(state)
    try:
        loop.run()
    finally:
        bell.close(remove=state.shutting_down)
        loop.close()
        if state.shutting_down:
            registry.close()
            shutil.rmtree(os.path.dirname(registry.path), ignore_errors=True)
        else:
            member_rows.leave_charge(registry, only_idle=False)


def _rung(state: State, bell: Bell) -> None:
    bell.hush()
    _look(state)


def _look(state: State) -> None:
    """Take in everything that may have changed, in the order in which it matters."""
    state.settings = members.settings_in_force(state.registry)
    stop.obey(state)
    members.read_servers(state)
    if members.handed_over(state):
        state.loop.stop()
        return
    for run in list(state.runs.values()):
        settle.collect(state, run)
    dispatch.dispatch(state)
    retain.keep_time(state)
    members.ring_servers(state)
    members.consider_leaving(state)
    if shutdown.finished(state):
        state.loop.stop()


def _look_now_and_then(state: State) -> None:
    state.loop.later(LOOK_INTERVAL, partial(_look_now_and_then, state))
    if state.runs:
        _look(state)
