"""How much of the disk a registry takes, with the files of its runs, and the cap on that.

The files are looked at one by one, in a thread, and so seldom that it takes a twentieth of the
time; in between the figure found last counts. So the cap is held nearly, not to the byte.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mcp_queue import clock
from mcp_queue.errors import DiskCapError
from mcp_queue.jobs import setting_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry

INTERVAL = 5.0  # seconds between two looks, at least
AGAIN = 0.5  # the same before a job is refused: something may have been deleted
SHARE = 20  # a look may take one part in so many of the time
PATIENCE = 0.25  # seconds that who asks for the state of the queue waits for a look
BLOCK = 512  # bytes of a block as ``stat`` counts them, whatever the file system's are


class Usage(NamedTuple):
    """Bytes on the disk: of all files of runs, and of artifacts among them."""

    runs: int
    artifacts: int


class DiskUsage:
    """The usage of one registry's folder; safe to use from several threads."""

    def __init__(self, folder: RegistryFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._found: Usage | None = None
        self._at = self._took = 0.0
        self._looking: asyncio.Task[Usage] | None = None
        self._closed = False

    def check(self, registry: Registry) -> None:
        """Raise DiskCapError if the registry takes more than the settings in force allow."""
        cap = setting_rows.in_force(registry).disk_cap_bytes
        if cap is None:
            return
        own = bytes_of(registry)
        used = own + self.measured().runs
        if used > cap:
            used = own + self.measured(AGAIN).runs
        if used > cap:
            raise DiskCapError(used=f"{used:,}", cap=f"{cap:,}")

    def measured(self, interval: float = INTERVAL) -> Usage:
        """The usage, found ``interval`` seconds ago at most, or as long ago as `SHARE` wants."""
        with self._lock:
            if self._found is None or self._is_due(interval):
                begun = clock.monotonic()
                self._found = self._look()
                self._at = clock.monotonic()
                self._took = self._at - begun
            return self._found

    async def glance(self) -> Usage | None:
        """The usage found last; None while it was not found yet, which may take a while."""
        idle = self._looking is None or self._looking.done()
        if idle and (self._found is None or self._is_due(INTERVAL)):
            self._looking = asyncio.create_task(asyncio.to_thread(self.measured))
        if self._looking is not None:  # others may wait for the same look
            await asyncio.wait([self._looking], timeout=PATIENCE)
        return self._found

    def close(self) -> None:
        """Look no further."""
        self._closed = True

    def _is_due(self, interval: float) -> bool:
        return clock.monotonic() - self._at >= max(interval, SHARE * self._took)

    def _look(self) -> Usage:
        runs = artifacts = 0
        for size, is_artifact in self._files(self._folder.runs, inside=False):
            runs += size
            artifacts += size if is_artifact else 0
        return Usage(runs, artifacts)

    def _files(self, path: str, *, inside: bool) -> Iterator[tuple[int, bool]]:
        """The bytes of each file below ``path``; what goes meanwhile is passed over."""
        with suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                if self._closed:
                    return
                if entry.is_dir(follow_symlinks=False):
                    deeper = inside or entry.name == "artifacts"
                    yield from self._files(entry.path, inside=deeper)
                    continue
                with suppress(OSError):
                    yield _size(entry.stat(follow_symlinks=False)), inside


def bytes_of(registry: Registry) -> int:
    """The bytes of the registry's file that are in use, and those of its journal."""
    pages, free, size = (
        registry.value(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
    )
    journal = 0
    with suppress(OSError):
        journal = os.stat(registry.path + "-wal").st_size
    return (pages - free) * size + journal


def _size(status: os.stat_result) -> int:
    """What it takes: a hole in a log takes nothing."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * BLOCK
