"""A clock of the registry that nobody can set: by it jobs grow old for their retention.

Within a boot it goes with monotonic time, so setting the wall clock ages no job. Over a boot it
goes with wall time, and never back. While the machine sleeps it stands where monotonic time does.
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


def look(registry: Registry) -> float:
    """Steady seconds, for who only reads."""
    return _reckon(registry)[0]


def keep(registry: Registry) -> float:
    """Like `now`, and after the next boot it goes on from here if the wall clock is behind."""
    seconds, _ = _reckon(registry)
    _anchor(registry, seconds)
    return seconds


def _reckon(registry: Registry) -> tuple[float, bool]:
    """Steady seconds, and whether they are counted from an anchor of this boot."""
    found = registry.rows("SELECT boot, monotonic, seconds FROM steady")
    if not found:
        return clock.wall(), False
    boot, monotonic, seconds = found[0]
    passed = clock.monotonic() - monotonic
    # Where boots have no id, monotonic time that went back tells of one.
    if boot == boot_id() and passed >= 0:
        return seconds + passed, True
    return max(clock.wall(), seconds), False


def _anchor(registry: Registry, seconds: float) -> None:
    registry.execute(
        "INSERT OR REPLACE INTO steady VALUES (1, ?, ?, ?)",
        (boot_id(), clock.monotonic(), seconds),
    )
