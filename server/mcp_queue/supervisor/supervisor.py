"""The supervisor's checks after a ring, a death or a timer."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.errors import QueueError, RegistryDamagedError, RegistryGoneError
from mcp_queue.jobs import bell, setting_rows
from mcp_queue.jobs.bell import Bell
from mcp_queue.supervisor import adopt, questions, shutdown, stop
from mcp_queue.supervisor.dispatch import Dispatcher
from mcp_queue.supervisor.erasure import Erasure
from mcp_queue.supervisor.expiry import Expiry
from mcp_queue.supervisor.folders import RunFolders
from mcp_queue.supervisor.log_cap import LogCap
from mcp_queue.supervisor.memory import MemoryLimits
from mcp_queue.supervisor.niceness import Niceness
from mcp_queue.supervisor.retry import Retries
from mcp_queue.supervisor.servers import Servers
from mcp_queue.supervisor.settle import Settler

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import Run, State

CHECK_INTERVAL = 2.0  # seconds between checks while runs live, in case a ring was lost
ERROR_RETRY = 0.5  # seconds until the next check while the registry cannot be written
ERROR_PAUSE = 0.05  # seconds; prevents a busy loop if a descriptor stays readable


class Supervisor:
    """The parts of a supervisor, and the order in which they work."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._bell = Bell(state.folder.bell)
        self._last_error = ""
        """The text of the last reported error, while nothing can be stored."""
        self._folders = RunFolders(state)
        self._erasure = Erasure(state)
        self._log_cap = LogCap(state)
        self._niceness = Niceness(state)
        self._servers = Servers(state, self._erasure)
        self._expiry = Expiry(state, self._folders, self._erasure)
        self._retries = Retries(state, self._folders)
        self._settler = Settler(state, self._folders, self._retries, self._log_cap)
        self._memory = MemoryLimits(state, self._settler)
        self._dispatcher = Dispatcher(
            state, self._folders, self._settler, self._memory, self._log_cap, self._niceness
        )
        state.checks.check = lambda: self._check([])
        state.loop.contain((QueueError, OSError), self._on_error)

    def take_charge(self) -> None:
        """Record this supervisor in the registry, and answer rings from now on."""
        self._servers.take_charge()
        self._state.loop.on_readable(self._bell, self._on_ring)

    def adopt(self) -> None:
        """Take over the runs and files of a dead supervisor."""
        self._retries.adopt()
        adopt.adopt(self._state, self._dispatcher, self._settler)
        self._folders.remove_unknown()
        adopt.remove_stale_bells(self._state)

    def begin(self) -> None:
        """Check now, and every `CHECK_INTERVAL` from now on."""
        self._state.checks.of_all_runs()
        self._check_periodically()

    def close(self, *, remove_bell: bool) -> None:
        """Release the bell, and the watches of servers."""
        self._servers.close()
        self._bell.close(remove=remove_bell)

    def _on_ring(self) -> None:
        """Check what rang. If only runs rang, read only their events."""
        names, runs = self._bell.hush(), self._state.runs
        if names is None or any(name not in runs and name != bell.REGISTRY for name in names):
            self._check(list(runs.values()))
            return
        rang = [runs[name] for name in names if name in runs]
        if bell.REGISTRY in names:
            self._check(rang)
            return
        for run in rang:
            self._settler.collect(run)
        self._servers.ring()

    def _check(self, rang: list[Run]) -> None:
        """Read all changes and act on them; the order of the steps matters.

        Reads the events of the runs that rang, or of all runs if such a check is due.
        """
        state = self._state
        all_runs = state.checks.take_all_runs()
        state.settings = setting_rows.in_force(state.registry)
        stop.apply_stop_requests(state)
        self._servers.read()
        if self._servers.must_hand_over():
            state.loop.stop()
            return
        for run in list(state.runs.values()) if all_runs else rang:
            self._settler.collect(run)
        questions.deliver_answers(state)
        self._dispatch()
        self._expiry.update()
        self._check_damage()
        self._servers.ring()
        self._folders.retry_removals()
        self._erasure.schedule()
        self._servers.schedule_leaving()
        self._last_error = ""
        if shutdown.finished(state):
            state.loop.stop()

    def _dispatch(self) -> None:
        now = clock.monotonic()
        self._dispatcher.dispatch(now)
        self._retries.remove_deleted()
        self._retries.schedule_next(now)

    def _check_damage(self) -> None:
        """Confirm damage that another process found. Without runs we then leave (`_on_error`)."""
        if not self._state.runs and os.path.exists(self._state.folder.damaged):
            from mcp_queue.jobs import damage  # rarely needed

            damage.confirm(self._state.registry.path)

    def _check_periodically(self) -> None:
        """Check again, in case a ring was lost."""
        self._state.loop.later(CHECK_INTERVAL, self._check_periodically)
        self._state.registry.check_there()
        if not os.path.exists(self._bell.path):
            self._reopen_bell()
        if self._state.runs or self._servers.has_unwatched():
            self._check(list(self._state.runs.values()))

    def _reopen_bell(self) -> None:
        """Make a new bell after the old one was removed with the registry's folder."""
        state = self._state
        state.folder.make()
        state.loop.forget(self._bell)
        self._bell.close(remove=False)
        self._bell = Bell(state.folder.bell)
        state.loop.on_readable(self._bell, self._on_ring)
        state.checks.of_all_runs()

    def _on_error(self, error: Exception) -> None:
        """Nothing can be stored: a locked registry, a full disk. Runs go on; check again later.

        If the registry is gone, no process can find its runs any more, so they are killed. If it
        is damaged, they go on and write to their folders. The supervisor leaves after the last of
        them, and the next server moves the registry and the folders aside (`jobs.damage`).
        """
        if isinstance(error, RegistryGoneError):
            for run in self._state.runs.values():
                run.worker.kill()
            self._state.loop.stop()
        elif isinstance(error, RegistryDamagedError):
            self._leave_if_all_dead()
        if str(error) != self._last_error:
            self._last_error = str(error)
            with suppress(OSError):  # the log may lie on the same full disk
                print(f"{clock.iso(clock.wall())} {error}", file=sys.stderr, flush=True)
        time.sleep(ERROR_PAUSE)
        self._state.checks.of_all_runs(ERROR_RETRY)

    def _leave_if_all_dead(self) -> None:
        runs: list[Run] = list(self._state.runs.values())
        if all(run.death is not None for run in runs):
            for run in runs:
                run.worker.kill_leftovers()
            self._state.loop.stop()
