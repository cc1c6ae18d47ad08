"""Waiting for another process's write, so that nobody waits for long beside one who writes much.

SQLite's own wait looks less and less often, ten times a second in the end. A process that writes
without end leaves the lock free for a moment between two writes, which such a wait rarely finds.
"""

from __future__ import annotations

import time
from random import uniform

from mcp_queue import clock

SHORT = 0.001  # seconds between two looks, at most, at first
LONG = 0.01  # the same in the end
PATIENT = 20  # looks after which the time has doubled


class Turn:
    """The busy handler of one connection (https://www.sqlite.org/c3ref/busy_handler.html)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = 0.0

    def wait(self, looks: int) -> bool:
        """Sleep for a moment; False when the time is over. ``looks``: how often it was called."""
        now = clock.monotonic()
        if looks == 0:
            self._begun = now
        elif now - self._begun > self._seconds:
            return False
        # By chance, so that two who wait do not always come at the same moment.
        time.sleep(uniform(SHORT / 2, min(LONG, SHORT * (1 + looks / PATIENT))))
        return True
