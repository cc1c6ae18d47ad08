"""The time of servers and supervisors, in one module, so that tests can replace it.

``wall`` is for times in records, ``monotonic`` for durations; both are in seconds. Workers read
`time.monotonic` themselves, as do parts of `server.transport`.
"""

from __future__ import annotations

import time


def wall() -> float:
    """Seconds since the epoch, UTC. They jump when the system's clock is set."""
    return time.time()


def monotonic() -> float:
    """Seconds that never go back, for durations and deadlines."""
    return time.monotonic()


def iso(seconds: float) -> str:
    """``seconds`` since the epoch as ISO 8601 in UTC with milliseconds, ending in ``Z``."""
    whole, fraction = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:03d}Z"
