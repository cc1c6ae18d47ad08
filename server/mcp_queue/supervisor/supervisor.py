"""What the supervisor does when a bell, a death or a timer calls."""

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
from mcp_queue.supervisor.folders import RunFolders
from mcp_queue.supervisor.log_cap import LogCap
from mcp_queue.supervisor.manners import Manners
from mcp_queue.supervisor.members import Members
from mcp_queue.supervisor.memory import MemoryLimits
from mcp_queue.supervisor.retain import Retention
from mcp_queue.supervisor.retry import Retries
from mcp_queue.supervisor.settle import Settler

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import Run, State

LOOK_INTERVAL = 2.0  # seconds between looks while runs live, should a ring be lost
TROUBLE_RETRY = 0.5  # seconds until the next look, while the registry cannot be written
TROUBLE_PAUSE = 0.05  # seconds, so that a descriptor which stays readable makes no busy loop


class Supervisor:
    """The parts of a supervisor, and the order in which they work."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._bell = Bell(state.folder.bell)
        self._trouble = ""
        """Why nothing can be stored now, as it was last reported."""
        self._folders = RunFolders(state)
        self._erasure = Erasure(state)
        self._log_cap = LogCap(state)
        self._manners = Manners(state)
        self._members = Members(state, self._erasure)
        self._retention = Retention(state, self._folders, self._erasure)
        self._retries = Retries(state, self._folders)
        self._settler = Settler(state, self._folders, self._retries, self._log_cap)
        self._memory = MemoryLimits(state, self._settler)
        self._dispatcher = Dispatcher(
            state, self._folders, self._settler, self._memory, self._log_cap, self._manners
        )
        state.looks.look = lambda: self._look([])
        state.loop.contain((QueueError, OSError), self._in_trouble)

    def take_charge(self) -> None:
        """Record that we supervise; from now on servers are heard."""
        self._members.take_charge()
        self._state.loop.on_readable(self._bell, self._rung)

    def adopt(self) -> None:
        """Take over what a dead supervisor left."""
        self._retries.adopt()
        adopt.adopt(self._state, self._dispatcher, self._settler)
        self._folders.remove_strange()
        adopt.remove_stale_bells(self._state)

    def begin(self) -> None:
        """Look now, and from now on every `LOOK_INTERVAL` too."""
        self._state.looks.at_all_runs()
        self._look_now_and_then()

    def close(self, *, remove_bell: bool) -> None:
        """Release the bell, and the watches of servers."""
        self._members.close()
        self._bell.close(remove=remove_bell)

    def _rung(self) -> None:
        """Look at what rang: at runs alone, where only runs have."""
        names, runs = self._bell.hush(), self._state.runs
        if names is None or any(name not in runs and name != bell.REGISTRY for name in names):
            self._look(list(runs.values()))
            return
        rang = [runs[name] for name in names if name in runs]
        if bell.REGISTRY in names:
            self._look(rang)
            return
        for run in rang:
            self._settler.collect(run)
        self._members.ring()

    def _look(self, rang: list[Run]) -> None:
        """Take in what may have changed, in the order in which it matters.

        Of the runs only those that rang, unless a look at all of them is due.
        """
        state = self._state
        at_all_runs = state.looks.takes_all()
        state.settings = setting_rows.in_force(state.registry)
        stop.obey(state)
        self._members.read()
        if self._members.must_hand_over():
            state.loop.stop()
            return
        for run in list(state.runs.values()) if at_all_runs else rang:
            self._settler.collect(run)
        questions.deliver(state)
        self._dispatch()
        self._retention.keep_time()
        self._look_for_damage()
        self._members.ring()
        self._folders.remove_remains()
        self._erasure.consider()
        self._members.consider_leaving()
        self._trouble = ""
        if shutdown.finished(state):
            state.loop.stop()

    def _dispatch(self) -> None:
        now = clock.monotonic()
        self._dispatcher.dispatch(now)
        self._retries.remove_deleted()
        self._retries.wake_for_next(now)

    def _look_for_damage(self) -> None:
        """Meet the damage that somebody met: if nothing runs, we are to leave (`_in_trouble`)."""
        if not self._state.runs and os.path.exists(self._state.folder.damaged):
            from mcp_queue.jobs import damage  # rarely needed

            damage.confirm(self._state.registry.path)

    def _look_now_and_then(self) -> None:
        """Make up for rings that were lost."""
        self._state.loop.later(LOOK_INTERVAL, self._look_now_and_then)
        self._state.registry.check_there()
        if not os.path.exists(self._bell.path):
            self._hang_again()
        if self._state.runs or self._members.has_unwatched():
            self._look(list(self._state.runs.values()))

    def _hang_again(self) -> None:
        """Another bell for one that was removed with the registry's folder."""
        state = self._state
        state.folder.make()
        state.loop.forget(self._bell)
        self._bell.close(remove=False)
        self._bell = Bell(state.folder.bell)
        state.loop.on_readable(self._bell, self._rung)
        state.looks.at_all_runs()

    def _in_trouble(self, error: Exception) -> None:
        """Nothing can be stored: a locked registry, a full disk. Runs go on; look again later.

        When the registry itself is gone, nobody can know of its runs any more: they end. When it
        is damaged they go on, since their folders keep what they do, and with the last of them we
        leave: the next server keeps it all aside (`jobs.damage`).
        """
        if isinstance(error, RegistryGoneError):
            for run in self._state.runs.values():
                run.worker.kill()
            self._state.loop.stop()
        elif isinstance(error, RegistryDamagedError):
            self._leave_if_all_are_dead()
        if str(error) != self._trouble:
            self._trouble = str(error)
            with suppress(OSError):  # the log may lie on the same full disk
                print(f"{clock.iso(clock.wall())} {error}", file=sys.stderr, flush=True)
        time.sleep(TROUBLE_PAUSE)
        self._state.looks.at_all_runs(TROUBLE_RETRY)

    def _leave_if_all_are_dead(self) -> None:
        runs: list[Run] = list(self._state.runs.values())
        if all(run.death is not None for run in runs):
            for run in runs:
                run.worker.clear()
            self._state.loop.stop()
