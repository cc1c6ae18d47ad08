"""Keep a supervisor alive while there is work: start one, watch it, start another if it dies."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import anyio

import mcp_queue
from mcp_queue import clock
from mcp_queue.errors import QueueError
from mcp_queue.jobs import job_rows, member_rows, retention
from mcp_queue.jobs.versions import is_newer
from mcp_queue.manager.origin import environment, package_folder
from mcp_queue.system.identity import DEAD, state_of
from mcp_queue.system.spawn import spawn_detached
from mcp_queue.system.watch import watch

if TYPE_CHECKING:
    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.manager.registry_threads import RegistryThreads

log = logging.getLogger(__name__)

BOOT = """\
import sys
sys.path.append(sys.argv.pop(1))
from mcp_queue.supervisor.main import main
main()
"""
PATIENCE = 2.0  # seconds for a started supervisor to take charge before another is tried
YOUNG = 1.0  # seconds; supervisors that die younger, in a row, are replaced less and less soon
FIRST_REST, LONGEST_REST = 0.1, 1.0  # seconds before the third of them, and at most
LONGEST_WAIT = 3600.0  # seconds between looks for jobs that expire while nobody supervises
EXPECT_INTERVAL = 0.02  # seconds between looks for a started supervisor when we leave


def missing(registry: Registry) -> bool:
    """Whether nobody supervises the registry. After a commit it sees a leaver's row gone."""
    supervisor = member_rows.supervisor(registry)
    return supervisor is None or state_of(supervisor.identity) == DEAD


def newer_serves(registry: Registry) -> bool:
    """Whether a living server is newer than this one; its supervisor is the better one."""
    return any(
        is_newer(server.version, mcp_queue.__version__) and state_of(server.identity) != DEAD
        for server in member_rows.servers(registry)
        if not server.leaving
    )


def rest(young_deaths: int) -> float:
    """Seconds before the next start, after so many supervisors in a row died young."""
    if young_deaths < 2:
        return 0.0
    return min(LONGEST_REST, FIRST_REST * 2.0 ** min(young_deaths - 2, 30))


class Supervision:
    """One task of a manager; `check` wakes it. ``owner``: see `supervisor.state.State.owner`."""

    def __init__(self, threads: RegistryThreads, folder: RegistryFolder, owner: str) -> None:
        self._threads = threads
        self._folder = folder
        self._path = folder.path.removesuffix(".d")
        self._owner = owner
        self._wake = asyncio.Event()
        self._started_at = float("-inf")
        self._not_before = float("-inf")
        self._young_deaths = 0
        self._predecessor: str | None = None
        self._coming = False
        self._watched: str | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._deferred_at: float | None = None
        self.ever_started = False

    def check(self) -> None:
        """Look whether a supervisor is needed and missing."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await self._look()
                except (QueueError, OSError) as error:  # no process to be had now, say
                    log.warning("cannot start a supervisor: %s", error)
                    self._check_in(PATIENCE)
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
            if self._expiry is not None:
                self._expiry.cancel()

    async def gone(self, seconds: float) -> bool:
        """Wait until no supervisor lives or comes; False when one still does after ``seconds``."""
        deadline = clock.monotonic() + seconds
        while (left := deadline - clock.monotonic()) > 0:
            if (identity := await self._alive()) is not None:
                with anyio.move_on_after(left):
                    await _death_of(identity)
            elif await self._expected():
                await anyio.sleep(EXPECT_INTERVAL)
            else:
                return True
        return False

    async def _recorded(self) -> str | None:
        supervisor = await self._threads.read(member_rows.supervisor)
        return supervisor.identity if supervisor is not None else None

    async def _alive(self) -> str | None:
        identity = await self._recorded()
        return None if identity is None or state_of(identity) == DEAD else identity

    async def _expected(self) -> bool:
        """Whether the one that we started has yet to take charge."""
        if not self._coming or clock.monotonic() - self._started_at > PATIENCE:
            return False
        return await self._recorded() == self._predecessor

    async def _look(self) -> None:
        identity = await self._recorded()
        if identity is not None and state_of(identity) != DEAD:
            self._deferred_at = None
            if identity != self._watched:
                self._watch(identity)
        elif await self._threads.read(job_rows.unfinished) or await self._expired():
            if self._coming and identity not in (None, self._predecessor):
                self._count_death(self._started_at)  # before we could watch it
            left = self._not_before - clock.monotonic()
            if left <= 0:
                left = await self._left_to_newer()
            if left > 0:
                self._check_in(left)
            else:
                await self._start()

    def _count_death(self, since: float) -> None:
        """A supervisor that took charge is dead; the next one may start after the rest."""
        now = clock.monotonic()
        self._coming = False
        self._young_deaths = self._young_deaths + 1 if now - since < YOUNG else 0
        self._not_before = now + rest(self._young_deaths)

    async def _expired(self) -> bool:
        """Whether jobs are past their retention; if some will be, we look again then."""
        due = await self._threads.read(retention.due_in)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if due is not None and due > 0:
            wait = min(due, LONGEST_WAIT)
            self._expiry = asyncio.get_running_loop().call_later(wait, self.check)
        return due is not None and due <= 0

    async def _left_to_newer(self) -> float:
        """Seconds that a newer server has left to start its supervisor, which it may fail to do."""
        if not await self._threads.read(newer_serves):
            return 0.0
        if self._deferred_at is None:
            self._deferred_at = clock.monotonic()
        return self._deferred_at + PATIENCE - clock.monotonic()

    def _check_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.check)

    async def _start(self) -> None:
        self._predecessor = await self._recorded()
        self._young_deaths += self._coming  # the one before never took charge
        self._started_at = clock.monotonic()
        self._not_before = self._started_at + PATIENCE + rest(self._young_deaths)
        self._coming = self.ever_started = True
        # It rings us as it takes charge; if it dies before that, nobody does.
        self._check_in(self._not_before - self._started_at)
        argv = [sys.executable, "-P", "-c", BOOT, package_folder(), self._path, self._owner]
        process = spawn_detached(argv, env=environment(), log=self._folder.log)
        # It forks and leaves at once, so this waits for the fork alone; it is reaped in any case.
        reaped = asyncio.get_running_loop().run_in_executor(None, process.wait)
        await asyncio.shield(reaped)

    def _watch(self, identity: str) -> None:
        self._watched = identity
        self._coming = False
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = asyncio.create_task(self._restart_after(identity))

    async def _restart_after(self, identity: str) -> None:
        since = clock.monotonic()
        await _death_of(identity)
        self._watched = None
        self._count_death(since)
        self.check()


async def _death_of(identity: str) -> None:
    watching = watch(identity)
    if watching is None:  # in another namespace: never known dead
        await anyio.sleep_forever()
        return
    try:
        await anyio.wait_readable(watching)
    finally:
        watching.close()
