"""The supervisor process: it takes the lock, adopts runs, supervises and leaves."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress

from mcp_queue import clock
from mcp_queue.errors import QueueError
from mcp_queue.jobs import lives, member_rows, setting_rows, start_report
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.supervisor.checks import Checks
from mcp_queue.supervisor.executors import local
from mcp_queue.supervisor.loop import Loop
from mcp_queue.supervisor.state import State
from mcp_queue.supervisor.supervisor import Supervisor
from mcp_queue.system.locks import FileLock
from mcp_queue.system.spawn import detach

START_TIMEOUT = 60.0  # seconds that a start waits for a write of another process
BUSY_TIMEOUT = 2.0  # seconds for all other waits: stops and timeouts must be handled meanwhile
LOCK_RETRY = 0.02  # seconds; only while another supervisor is leaving
LOCK_PATIENCE = 10.0  # seconds that a leaving supervisor may take


def main() -> None:
    """Supervise the registry named on the command line until no server or job needs it."""
    path, owner, key_file = sys.argv[1:4]
    detach()
    if owner and not os.path.exists(path):  # the in-memory registry is gone already
        start_report.report(start_report.NOT_NEEDED)
        return
    local.prepare()
    folder = RegistryFolder(path)
    folder.make()
    registry = Registry(path, busy_timeout=START_TIMEOUT)
    lock = FileLock(folder.lock)
    if _acquire(lock, registry):
        _supervise(registry, folder, owner, key_file)
    else:
        start_report.report(start_report.NOT_NEEDED)
    registry.close()
    lock.release()


def _acquire(lock: FileLock, registry: Registry) -> bool:
    """Take the lock; False if a supervisor that stays holds it."""
    deadline = clock.monotonic() + LOCK_PATIENCE
    while not lock.try_acquire():
        if lives.supervisor(registry) is not None:
            return False
        # The holder is leaving (its row is removed), has not written its row yet, or is a process
        # that checks for life.
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
        checks=Checks(loop),
        executor=local.LocalExecutor(),
        settings=setting_rows.in_force(registry),
        key_file=key_file,
        owner=owner,
    )
    supervisor = Supervisor(state)
    supervisor.take_charge()
    start_report.report(start_report.IN_CHARGE)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.on_signal(number, loop.stop)
    if sys.platform != "win32":
        loop.on_signal(signal.SIGCHLD, state.executor.reap)
    supervisor.adopt()
    registry.wait_at_most(BUSY_TIMEOUT)
    supervisor.begin()
    try:
        loop.run()
    finally:
        supervisor.close(remove_bell=state.shutting_down)
        loop.close()
        if state.shutting_down:
            registry.close()
            shutil.rmtree(os.path.dirname(registry.path), ignore_errors=True)
        else:
            with suppress(QueueError):
                member_rows.leave_charge(registry, only_idle=False)
