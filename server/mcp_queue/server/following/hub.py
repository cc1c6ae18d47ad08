"""Changes of jobs to who asked: one watch over all jobs, many listeners, coalesced for each."""

from __future__ import annotations

import logging
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from mcp_queue.errors import QueueError
from mcp_queue.jobs import states
from mcp_queue.server.following.log_growth import LogGrowth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from anyio.abc import TaskGroup

    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.transport.lifetime import Ending

GAP = 0.05  # seconds in which the changes of a listener become one
RETRY = 1.0  # seconds before a watch that failed is tried again
MOST = 10_000  # interests of all listeners together
REMEMBERED = 4096  # ids by which a new job is told from a known one
EVERY_JOB = ""  # the interest in the change of any job
THE_SET = "/"  # the interest in jobs that come and go
"""Interests are job ids, one of these two, `log_of` a job, or `ran`; no job id can be one."""

log = logging.getLogger(__name__)


def ran(command: str) -> str:
    """The interest in a command: each time that it has run."""
    return f"/ran/{command}"


class Listener:
    """The changes that one subscription has not yet been told."""

    def __init__(self, interests: set[str]) -> None:
        self.interests = interests
        self._dirty: set[str] = set()
        self._event = anyio.Event()
        self._ended = False

    def mark(self, changed: set[str]) -> None:
        """Note what changed, if it is of interest."""
        if dirty := self.interests & changed:
            self._dirty |= dirty
            self._event.set()

    def end(self) -> None:
        """Let it go: nothing more is told."""
        self._ended = True
        self._event.set()

    async def changes(self) -> set[str] | None:
        """Wait for changes, and a moment longer for more; None when the server ends."""
        await self._event.wait()
        if not self._ended:
            await anyio.sleep(GAP)
        if self._ended:
            return None
        dirty, self._dirty, self._event = self._dirty, set(), anyio.Event()
        return dirty


class Hub:
    """Watches all jobs while anyone listens. ``run`` owns the watch and the legacy listeners."""

    def __init__(self, queue: QueueManager) -> None:
        self._queue = queue
        self._listeners: set[Listener] = set()
        self._known: dict[str, None] = {}
        self._wanted, self._watched = anyio.Event(), anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._missed = self._ended = False
        self._logs = LogGrowth(queue, self.mark)
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._logs.run)
            while True:
                await self._wanted.wait()
                if self._listeners:  # else they left before their watch began
                    with anyio.CancelScope() as self._watching:
                        await self._watch()

    def start_soon(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> None:
        """Run what outlives its request; it ends with the server."""
        assert self._tasks is not None
        self._tasks.start_soon(work, *arguments)

    async def end_with(self, ending: Ending) -> None:
        """Let all listeners go when the server's end begins, so that they can say so."""
        await ending.wait()
        self._ended = True
        for listener in self._listeners:
            listener.end()

    def takes(self, interests: int) -> bool:
        """Whether there is room for a listener with so many interests."""
        return interests + sum(len(each.interests) for each in self._listeners) <= MOST

    @asynccontextmanager
    async def listener(self, interests: set[str]) -> AsyncGenerator[Listener]:
        """A listener for these interests, released at the end of the block.

        No change within the block is missed.
        """
        listener = Listener(interests)
        if self._ended:
            listener.end()
        self._listeners.add(listener)
        self._wanted.set()
        try:
            await self._watched.wait()
            await self._logs.add(interests)
            yield listener
        finally:
            self._logs.remove(interests)
            self._listeners.discard(listener)
            if not self._listeners:
                self._wanted, self._watched = anyio.Event(), anyio.Event()
                if self._watching is not None:
                    self._watching.cancel()

    async def _watch(self) -> None:
        watched = self._watched

        def begin() -> None:
            watched.set()
            if self._missed:
                self._missed = False
                for listener in self._listeners:
                    listener.mark(listener.interests)

        try:
            async with aclosing(self._queue.watch(None, begin)) as changes:
                async for record in changes:
                    self.mark(self._changed(record))
        except QueueError as error:
            log.warning("%s %s", error.message, error.hint)
            self._missed = True
            watched.set()  # a broken registry holds up nobody
            await anyio.sleep(RETRY)

    def mark(self, changed: set[str]) -> None:
        """Tell the listeners whom it concerns."""
        for listener in self._listeners:
            listener.mark(changed)

    def _changed(self, record: JobRecord) -> set[str]:
        changed = {record.job_id, EVERY_JOB}
        if record.job_id not in self._known:
            self._known[record.job_id] = None
            changed.add(THE_SET)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        if record.status == states.DELETED:
            changed.add(THE_SET)
        elif record.terminal:
            changed.add(ran(record.command))
        return changed
