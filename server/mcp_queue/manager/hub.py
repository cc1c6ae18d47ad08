"""Fan out changes of jobs to who listens, coalesced: a slow listener gets the latest state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueClosedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_queue.jobs.record import JobRecord


class Hub:
    """All listeners of one process."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def listen(self, job_ids: frozenset[str] | None) -> Listener:
        """A listener to the named jobs, or to all; its owner closes it."""
        listener = Listener(self, job_ids)
        self._listeners.add(listener)
        if self._closed:
            listener.end()
        return listener

    def publish(self, records: Iterable[JobRecord]) -> None:
        """Hand the new state of jobs to who listens to them."""
        for record in records:
            for listener in self._listeners:
                listener.offer(record)

    def close(self) -> None:
        """No change will be heard of any more: all listeners learn it."""
        self._closed = True
        for listener in self._listeners:
            listener.end()

    def drop(self, listener: Listener) -> None:
        """Called by a listener that closes."""
        self._listeners.discard(listener)


class Listener:
    """Collects changed jobs until they are taken."""

    def __init__(self, hub: Hub, job_ids: frozenset[str] | None) -> None:
        self._hub = hub
        self._job_ids = job_ids
        self._changed: dict[str, JobRecord] = {}
        self._event = asyncio.Event()
        self._ended = False

    def offer(self, record: JobRecord) -> None:
        """Take a change, replacing an earlier one of the same job that was not taken yet."""
        if self._job_ids is None or record.job_id in self._job_ids:
            self._changed[record.job_id] = record
            self._event.set()

    async def next(self) -> list[JobRecord]:
        """Wait for changes and take them. Cancelling it loses none.

        `QueueClosedError` when there will be none, since the manager was closed.
        """
        await self._event.wait()
        if self._ended:
            raise QueueClosedError
        self._event.clear()
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._event.set()

    def close(self) -> None:
        """Listen no more."""
        self._hub.drop(self)
