"""Erase removed data from the registry's files while no job runs or waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.jobs import erase, job_rows, run_rows

if TYPE_CHECKING:
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import State

QUIET = 0.3  # seconds without work before the erasure
RETRY = 1.0  # seconds until the next try, if another process was reading


class Erasure:
    """Schedules erasures: one after each change of the registry, once it is quiet."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timer: Timer | None = None
        self._erased_rev = -1

    def schedule(self) -> None:
        """Erase soon, if something changed since the last erasure and no job runs or waits."""
        if self._timer is None and self._is_due():
            self._timer = self._state.loop.later(QUIET, self._erase)

    def erase_now(self) -> None:
        """Erase the rest now, before this process exits."""
        if self._is_due():
            erase.erase(self._state.registry)

    def jobs_removed(self) -> None:
        """Expired jobs were removed, which does not change ``rev``."""
        self._erased_rev = -1
        self.schedule()

    def _is_due(self) -> bool:
        if self._state.runs or self._state.shutting_down:
            return False
        rev = run_rows.latest_rev(self._state.registry)
        return rev != self._erased_rev and not job_rows.unfinished(self._state.registry)

    def _erase(self) -> None:
        self._timer = None
        if not self._is_due():
            return
        rev = run_rows.latest_rev(self._state.registry)
        if erase.erase(self._state.registry):
            self._erased_rev = rev
        else:
            self._timer = self._state.loop.later(RETRY, self._erase)
