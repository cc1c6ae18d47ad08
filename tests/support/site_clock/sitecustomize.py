"""Processes that find this module see a wall clock that is off by what ``CLOCK_OFFSET`` holds.

The variable names a file with seconds in it, which the test may change at any time.
"""

from __future__ import annotations

import os
import time

_time = time.time


def shifted() -> float:
    try:
        with open(os.environ["CLOCK_OFFSET"], encoding="ascii") as file:
            return _time() + float(file.read() or 0)
    except FileNotFoundError:
        return _time()


time.time = shifted
