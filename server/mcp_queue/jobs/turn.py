"""Waiting for another process's write, with short waits also beside a process that writes much.

SQLite's own wait tries less and less often, down to ten times a second. A process that writes all
the time leaves the lock free only for moments between two writes, which such a wait rarely meets.
"""

from __future__ import annotations

import time
from random import uniform

from mcp_queue import clock

SHORT = 0.001  # seconds between two tries, at most, at first
LONG = 0.01  # the same later
PATIENT = 20  # tries after which the time has doubled


class Turn:
    """The busy handler of one connection (https://www.sqlite.org/c3ref/busy_handler.html)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = 0.0

    def wait(self, tries: int) -> bool:
        """Sleep for a moment; False if the time is over. ``tries``: the number of earlier calls."""
        now = clock.monotonic()
        if tries == 0:
            self._begun = now
        elif now - self._begun > self._seconds:
            return False
        # Random, so that two waiting processes do not always try at the same moment.
        time.sleep(uniform(SHORT / 2, min(LONG, SHORT * (1 + tries / PATIENT))))
        return True
