"""Changes of jobs for subscriptions: one watch over all jobs, and one follower per subscription.

A follower gets the changes of a short time together.
"""

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
    from mcp_queue.server.transport.lifetime import Shutdown

GAP = 0.05  # seconds in which the changes for a follower are collected
RETRY = 1.0  # seconds before a watch that failed is started again
MAX_INTERESTS = 10_000  # interests of all followers together
MAX_KNOWN = 4096  # job ids that are remembered to recognize new jobs
ANY_JOB = ""  # the interest in the change of any job
JOB_LIST = "/"  # the interest in new and deleted jobs
"""An interest is a job id, one of these two, a `log_of`, or a `command_ran`. No job id has the form
of one of the others."""

log = logging.getLogger(__name__)


def command_ran(command: str) -> str:
    """The interest in each end of a run of this command."""
    return f"/ran/{command}"


class Follower:
    """The changes that one subscription has not yet received."""

    def __init__(self, interests: set[str]) -> None:
        self.interests = interests
        self._dirty: set[str] = set()
        self._event = anyio.Event()
        self._ended = False

    def mark(self, changed: set[str]) -> None:
        """Store the changes that are of interest."""
        if dirty := self.interests & changed:
            self._dirty |= dirty
            self._event.set()

    def end(self) -> None:
        """End it: `changes` returns None from now on."""
        self._ended = True
        self._event.set()

    async def changes(self) -> set[str] | None:
        """Wait for changes, and `GAP` seconds for more of them; None when the server ends."""
        await self._event.wait()
        if not self._ended:
            await anyio.sleep(GAP)
        if self._ended:
            return None
        dirty, self._dirty, self._event = self._dirty, set(), anyio.Event()
        return dirty


class Notifier:
    """Watches all jobs while there are followers.

    ``run`` owns the watch and the followers of handshake-era clients.
    """

    def __init__(self, queue: QueueManager) -> None:
        self._queue = queue
        self._followers: set[Follower] = set()
        self._known: dict[str, None] = {}
        self._wanted, self._watched = anyio.Event(), anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._missed_changes = self._ended = False
        self._logs = LogGrowth(queue, self.notify)
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._logs.run)
            while True:
                await self._wanted.wait()
                if self._followers:  # all may have left before the watch began
                    with anyio.CancelScope() as self._watching:
                        await self._watch()

    def start_soon(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> None:
        """Run ``work`` in the background until it returns or the server ends."""
        assert self._tasks is not None
        self._tasks.start_soon(work, *arguments)

    async def end_with(self, shutdown: Shutdown) -> None:
        """End all followers when the shutdown begins, so that their requests can be answered."""
        await shutdown.wait()
        self._ended = True
        for follower in self._followers:
            follower.end()

    def has_room_for(self, interests: int) -> bool:
        """Whether a follower with so many interests can be added."""
        return interests + sum(len(each.interests) for each in self._followers) <= MAX_INTERESTS

    @asynccontextmanager
    async def follow(self, interests: set[str]) -> AsyncGenerator[Follower]:
        """A follower for these interests. It gets every change that happens within the block."""
        follower = Follower(interests)
        if self._ended:
            follower.end()
        self._followers.add(follower)
        self._wanted.set()
        try:
            await self._watched.wait()
            await self._logs.add(interests)
            yield follower
        finally:
            self._logs.remove(interests)
            self._followers.discard(follower)
            if not self._followers:
                self._wanted, self._watched = anyio.Event(), anyio.Event()
                if self._watching is not None:
                    self._watching.cancel()

    async def _watch(self) -> None:
        watched = self._watched

        def begin() -> None:
            watched.set()
            if self._missed_changes:
                self._missed_changes = False
                for follower in self._followers:
                    follower.mark(follower.interests)

        try:
            async with aclosing(self._queue.watch(None, begin)) as changes:
                async for record in changes:
                    self.notify(self._interests_of(record))
        except QueueError as error:
            log.warning("%s %s", error.message, error.hint)
            self._missed_changes = True
            watched.set()  # subscriptions begin even if the registry cannot be read
            await anyio.sleep(RETRY)

    def notify(self, changed: set[str]) -> None:
        """Pass changes to the followers that have an interest in them."""
        for follower in self._followers:
            follower.mark(changed)

    def _interests_of(self, record: JobRecord) -> set[str]:
        """The interests that a change of this job concerns."""
        changed = {record.job_id, ANY_JOB}
        if record.job_id not in self._known:
            self._known[record.job_id] = None
            changed.add(JOB_LIST)
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        if record.status == states.DELETED:
            changed.add(JOB_LIST)
        elif record.terminal:
            changed.add(command_ran(record.command))
        return changed
