"""Memory limits: measures the memory of all processes of a run while a limited run lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.supervisor import stop
from mcp_queue.supervisor.causes import out_of_memory

if TYPE_CHECKING:
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.settle import Settler
    from mcp_queue.supervisor.state import Run, State

INTERVAL = 0.25  # seconds between two checks


class MemoryLimits:
    """Kills runs that use more memory than their limit."""

    def __init__(self, state: State, settler: Settler) -> None:
        self._state = state
        self._settler = settler
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Start the checks if a run has a limit. Called for each new run."""
        limited = any(run.memory_limit is not None for run in self._state.runs.values())
        if self._timer is None and limited:
            self._timer = self._state.loop.later(INTERVAL, self._check_all)

    def _check_all(self) -> None:
        self._timer = None
        self.begin()
        for run in list(self._state.runs.values()):
            if run.memory_limit is not None:
                self._check(run, run.memory_limit)

    def _check(self, run: Run, limit: int) -> None:
        used = run.worker.memory(limit)
        if used <= limit:
            return
        self._settler.collect(run)  # the job may have just ended by itself
        stop.end_at_once(self._state, run, out_of_memory(used, limit))
