"""Erase removed data from the registry's files while no other process uses them.

`Registry` lets SQLite overwrite removed data. Copies can remain in two places. The write-ahead log
is removed by a truncating checkpoint. Unused bytes of pages can contain cells that were moved to
another page; only a new copy of the whole file removes them. That takes time and memory, so it is
not done for a large file.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueError

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

LARGEST = 32 << 20  # bytes of the largest file that is copied
ROOM = 4  # times the file's size that must be free on the disk


def erase(registry: Registry) -> bool:
    """Erase removed data from the file and its log; never waits.

    False if another process reads or writes at this moment, or if the disk is too full.
    """
    try:
        with registry.waiting_at_most(0):
            # First only the log: with a reader present, each try of the rest would make it grow.
            if not _cut_log(registry):
                return False
            if not _is_cheap(registry.path):
                return True
            registry.execute("PRAGMA temp_store = MEMORY")  # do not copy data to a temporary file
            registry.execute("VACUUM")
            return _cut_log(registry)
    except (QueueError, OSError):
        return False


def _cut_log(registry: Registry) -> bool:
    [(busy, _, _)] = registry.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return not busy


def is_due(path: str) -> bool:
    """Whether a write-ahead log exists, for example one that a killed process has left."""
    try:
        return os.stat(path + "-wal").st_size > 0
    except OSError:
        return False


def _is_cheap(path: str) -> bool:
    size = os.stat(path).st_size
    return size <= LARGEST and shutil.disk_usage(os.path.dirname(path)).free >= ROOM * size
