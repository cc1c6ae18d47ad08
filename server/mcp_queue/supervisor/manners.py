"""Let workers stand back for other programs, from before their gate opens.

An ordinary user may set the niceness of one group of processes in a tenth of a second only: in a
burst the others follow, one by one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import Run, State

PAUSE = 0.12  # seconds between two tries


class Manners:
    """Gives each new worker its niceness."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: deque[Run] = deque()
        self._timer: Timer | None = None

    def begin(self, run: Run) -> None:
        """Let a new run's worker stand back; later if it cannot be now."""
        self._waiting.append(run)
        if self._timer is None:
            self._look()

    def _look(self) -> None:
        self._timer = None
        while self._waiting:
            run = self._waiting[0]
            if run.death is None and not run.worker.stand_back(self._state.settings.niceness):
                self._timer = self._state.loop.later(PAUSE, self._look)
                return
            self._waiting.popleft()
