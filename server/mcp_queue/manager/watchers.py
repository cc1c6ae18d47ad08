"""Pass changes of jobs to watchers. A slow watcher gets only the latest record of each job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueClosedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_queue.jobs.record import JobRecord


class Watchers:
    """All watchers of one process."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def add(self, job_ids: frozenset[str] | None) -> Watcher:
        """Make a watcher of the named jobs, or of all. The caller closes it."""
        watcher = Watcher(self, job_ids)
        self._watchers.add(watcher)
        if self._closed:
            watcher.end()
        return watcher

    def publish(self, records: Iterable[JobRecord]) -> None:
        """Pass the new records of jobs to their watchers."""
        for record in records:
            for watcher in self._watchers:
                watcher.offer(record)

    def close(self) -> None:
        """End all watchers: no more changes come."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()

    def remove(self, watcher: Watcher) -> None:
        """Remove a watcher that closes."""
        self._watchers.discard(watcher)


class Watcher:
    """Collects changed jobs until they are taken."""

    def __init__(self, owner: Watchers, job_ids: frozenset[str] | None) -> None:
        self._owner = owner
        self._job_ids = job_ids
        self._changed: dict[str, JobRecord] = {}
        self._event = asyncio.Event()
        self._ended = False

    def offer(self, record: JobRecord) -> None:
        """Store a change; it replaces an earlier one of the same job that was not read yet."""
        if self._job_ids is None or record.job_id in self._job_ids:
            self._changed[record.job_id] = record
            self._event.set()

    async def next(self) -> list[JobRecord]:
        """Wait for changes and return them. Cancelling the wait loses none.

        Raises `QueueClosedError` once the manager is closed.
        """
        await self._event.wait()
        if self._ended:
            raise QueueClosedError
        self._event.clear()
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def end(self) -> None:
        """End the watcher: no more changes come."""
        self._ended = True
        self._event.set()

    def close(self) -> None:
        """Stop watching."""
        self._owner.remove(self)
