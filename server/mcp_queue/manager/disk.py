"""Measure the disk space of a registry and its runs, and enforce the cap on it.

A thread reads the sizes of all files, in at most a twentieth of the time; between two measurements
the last one counts. So the cap is approximate, not exact to the byte.
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

INTERVAL = 5.0  # seconds between two measurements, at least
AGAIN = 0.5  # the same before a job is refused, as files may have been deleted
SHARE = 20  # measuring may take one part in so many of the time
PATIENCE = 0.25  # seconds that a call for the state of the queue waits for a measurement
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
        self._usage: Usage | None = None
        self._at = self._took = 0.0
        self._measuring: asyncio.Task[Usage] | None = None
        self._closed = False

    def check(self, registry: Registry) -> None:
        """Raise DiskCapError if the registry takes more than the settings in force allow."""
        cap = setting_rows.in_force(registry).disk_cap_bytes
        if cap is None:
            return
        own = bytes_of(registry)
        used = own + self.measure().runs
        if used > cap:
            used = own + self.measure(AGAIN).runs
        if used > cap:
            raise DiskCapError(used=f"{used:,}", cap=f"{cap:,}")

    def measure(self, interval: float = INTERVAL) -> Usage:
        """The usage, at most ``interval`` seconds old, or as old as `SHARE` requires."""
        with self._lock:
            if self._usage is None or self._is_due(interval):
                begun = clock.monotonic()
                self._usage = self._scan()
                self._at = clock.monotonic()
                self._took = self._at - begun
            return self._usage

    async def recent(self) -> Usage | None:
        """The last measured usage; None before the first measurement is done."""
        idle = self._measuring is None or self._measuring.done()
        if idle and (self._usage is None or self._is_due(INTERVAL)):
            self._measuring = asyncio.create_task(asyncio.to_thread(self.measure))
        if self._measuring is not None:  # others may wait for the same measurement
            await asyncio.wait([self._measuring], timeout=PATIENCE)
        return self._usage

    def close(self) -> None:
        """Stop measuring."""
        self._closed = True

    def _is_due(self, interval: float) -> bool:
        return clock.monotonic() - self._at >= max(interval, SHARE * self._took)

    def _scan(self) -> Usage:
        runs = artifacts = 0
        for size, is_artifact in self._files(self._folder.runs, inside=False):
            runs += size
            artifacts += size if is_artifact else 0
        return Usage(runs, artifacts)

    def _files(self, path: str, *, inside: bool) -> Iterator[tuple[int, bool]]:
        """The bytes of each file below ``path``; files removed meanwhile are left out."""
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
    """The disk space of a file: a hole in a log takes none."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * BLOCK
