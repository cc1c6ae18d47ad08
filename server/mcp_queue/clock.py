"""The only user of time in the package, so that tests can move it.

``wall`` stamps records, ``monotonic`` measures durations; both are in seconds.
"""

from __future__ import annotations

import time


def wall() -> float:
    """Seconds since the epoch, UTC; may jump when the system's clock is set."""
    return time.time()


def monotonic() -> float:
    """Seconds that only grow, for durations and deadlines."""
    return time.monotonic()


def iso(seconds: float) -> str:
    """``seconds`` since the epoch as ISO 8601 in UTC with milliseconds, ending in ``Z``."""
    whole, fraction = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:03d}Z"
