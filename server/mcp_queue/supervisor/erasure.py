"""Erase what jobs have left in the registry's files, whenever nothing is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.jobs import erase, job_rows, run_rows

if TYPE_CHECKING:
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import State

QUIET = 0.3  # seconds without work after which that is done
RETRY = 1.0  # seconds until it is tried again, if somebody was reading


class Erasure:
    """Knows up to which change nothing removed is left in the files."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timer: Timer | None = None
        self._erased_rev = -1

    def consider(self) -> None:
        """Erase soon, if anything was removed since the last time and nothing runs or waits."""
        if self._timer is None and self._is_due():
            self._timer = self._state.loop.later(QUIET, self._erase)

    def finish(self) -> None:
        """Erase now what is left to erase, before this process leaves."""
        if self._is_due():
            erase.erase(self._state.registry)

    def removed(self) -> None:
        """Jobs were forgotten, which is no change that anybody is told of."""
        self._erased_rev = -1
        self.consider()

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
