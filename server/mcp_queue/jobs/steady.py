"""The steady clock of a registry, which measures the age of jobs for their retention.

Within a boot it follows monotonic time, so setting the wall clock has no effect. Across boots it
follows wall time, but never goes back. While the machine sleeps, it behaves like monotonic time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.system.identity import boot_id

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry


def now(registry: Registry) -> float:
    """Steady seconds, inside a write transaction."""
    seconds, anchored = _reckon(registry)
    if not anchored:
        _anchor(registry, seconds)
    return seconds


def read(registry: Registry) -> float:
    """Steady seconds, without a write."""
    return _reckon(registry)[0]


def store(registry: Registry) -> float:
    """Like `now`; also store the value, so that after the next boot the clock is not behind it."""
    seconds, _ = _reckon(registry)
    _anchor(registry, seconds)
    return seconds


def _reckon(registry: Registry) -> tuple[float, bool]:
    """Steady seconds, and whether they are counted from an anchor in this boot."""
    rows = registry.rows("SELECT boot, monotonic, seconds FROM steady")
    if not rows:
        return clock.wall(), False
    boot, monotonic, seconds = rows[0]
    passed = clock.monotonic() - monotonic
    # On systems without boot ids, monotonic time that went back shows a new boot.
    if boot == boot_id() and passed >= 0:
        return seconds + passed, True
    return max(clock.wall(), seconds), False


def _anchor(registry: Registry, seconds: float) -> None:
    registry.execute(
        "INSERT OR REPLACE INTO steady VALUES (1, ?, ?, ?)",
        (boot_id(), clock.monotonic(), seconds),
    )
