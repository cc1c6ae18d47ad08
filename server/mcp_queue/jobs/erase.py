"""What was removed is gone from the registry's files, once nobody works with it.

`Registry` lets SQLite overwrite what it removes. Two places are left: the write-ahead log, which
goes by a truncating checkpoint, and bytes of pages that are not in use, where cells stood before
they were moved to another page; no more than writing the file anew gets at those. That takes its
time and memory, so a larger file is left as it is.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueError

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

LARGEST = 32 << 20  # bytes of a file that is written anew
ROOM = 4  # times its size that the disk must have free for that


def erase(registry: Registry) -> bool:
    """Leave nothing of what was removed in the file and its log; never waits.

    False when another process reads or writes just now, or the disk does not allow it.
    """
    try:
        with registry.waiting_at_most(0):
            # First the log alone: while somebody reads, it would grow with each try of the rest.
            if not _cut_log(registry):
                return False
            if not _is_cheap(registry.path):
                return True
            registry.execute("PRAGMA temp_store = MEMORY")  # no copy in a temporary file
            registry.execute("VACUUM")
            return _cut_log(registry)
    except (QueueError, OSError):
        return False


def _cut_log(registry: Registry) -> bool:
    [(busy, _, _)] = registry.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return not busy


def is_due(path: str) -> bool:
    """Whether a write-ahead log is there, as one that a killed process has left."""
    try:
        return os.stat(path + "-wal").st_size > 0
    except OSError:
        return False


def _is_cheap(path: str) -> bool:
    size = os.stat(path).st_size
    return size <= LARGEST and shutil.disk_usage(os.path.dirname(path)).free >= ROOM * size
