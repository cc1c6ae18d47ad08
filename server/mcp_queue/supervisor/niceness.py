"""Set the niceness of workers, so that other programs go first.

This happens before the gate opens. An ordinary user may set the niceness of only one process group
per tenth of a second, so the workers of a burst follow one by one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import Run, State

PAUSE = 0.12  # seconds between two tries


class Niceness:
    """Sets the niceness of each new worker."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: deque[Run] = deque()
        self._timer: Timer | None = None

    def schedule(self, run: Run) -> None:
        """Set the niceness of a new run's worker, now or as soon as possible."""
        self._waiting.append(run)
        if self._timer is None:
            self._apply()

    def _apply(self) -> None:
        self._timer = None
        while self._waiting:
            run = self._waiting[0]
            if run.death is None and not run.worker.set_niceness(self._state.settings.niceness):
                self._timer = self._state.loop.later(PAUSE, self._apply)
                return
            self._waiting.popleft()
