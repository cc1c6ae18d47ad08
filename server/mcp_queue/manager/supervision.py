"""Keep a supervisor alive while there is work: start one, watch it, start another if it dies."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from mcp_queue import clock
from mcp_queue.errors import QueueError, SupervisorError
from mcp_queue.jobs import job_rows, lives, member_rows, retention
from mcp_queue.jobs.versions import is_newer
from mcp_queue.manager import start
from mcp_queue.manager.outlook import Outlook
from mcp_queue.manager.start import Verdict
from mcp_queue.system.watch import watch_holder
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.manager.registry_threads import RegistryThreads

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds for a started supervisor to take charge before another is tried
YOUNG = 1.0  # seconds; supervisors that die younger, in a row, are replaced less and less soon
YOUNG_DEATHS = 3  # from then on they count as a fault
FIRST_REST, LONGEST_REST = 0.1, 1.0  # seconds before the third of them, and at most
DEATHS = 2  # starts in a row that were killed; then the start has failed
HANGS = 10.0  # seconds without a word of any start; then it has failed, too
EAGER = 1.0  # seconds after a start that failed until a call tries again at once
LONGEST_WAIT = 3600.0  # seconds between looks for jobs that expire while nobody supervises
EXPECT_INTERVAL = 0.02  # seconds between looks for a started supervisor when we leave


def missing(registry: Registry) -> bool:
    """Whether nobody supervises the registry. After a commit it sees a leaver's row gone."""
    return lives.supervisor(registry) is None


def newer_serves(registry: Registry) -> bool:
    """Whether a living server is newer than this one; its supervisor is the better one."""
    return any(
        is_newer(server.version, __version__) and lives.serves(server)
        for server in member_rows.servers(registry)
    )


def rest(young_deaths: int) -> float:
    """Seconds before the next start, after so many supervisors in a row died young."""
    if young_deaths < 2:
        return 0.0
    return min(LONGEST_REST, FIRST_REST * 2.0 ** min(young_deaths - 2, 30))


class Supervision:
    """One task of a manager; `check` wakes it. ``owner``: see `supervisor.state.State.owner`."""

    def __init__(
        self,
        threads: RegistryThreads,
        folder: RegistryFolder,
        owner: str,
        key_file: Callable[[], str],
    ) -> None:
        self._threads = threads
        self._folder = folder
        self._key_file = key_file
        self._owner = owner
        self._wake = asyncio.Event()
        self._started_at = float("-inf")
        self._not_before = float("-inf")
        self._young_deaths = 0
        self._predecessor: str | None = None
        self._coming = False
        self._watched: str | None = None
        self._watched_since = 0.0
        self._watcher: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._deferred_at: float | None = None
        self._starts = 0
        self._failed_starts = 0  # in a row
        self._mute_since: float | None = None  # the first start in a row that said nothing yet
        self.outlook = Outlook()
        self.ever_started = False

    def check(self) -> None:
        """Look whether a supervisor is needed and missing."""
        self._wake.set()

    def need(self) -> None:
        """One is missing that is needed: start it, and let `verdict` wait for how that went."""
        if self.outlook.problem is None:
            self.outlook.begin()
        elif not self._coming and clock.monotonic() - self._started_at > EAGER:
            self._not_before = clock.monotonic()
            self.outlook.begin()
        self.check()

    async def verdict(self) -> SupervisorError | None:
        """Why no supervisor could be started; it waits for the start that is going on, if any."""
        return await self.outlook.verdict(PATIENCE)

    @property
    def trouble(self) -> SupervisorError | None:
        """Why no supervisor could be started, or that they die soon after they took charge."""
        lives_on = self._watched is not None and clock.monotonic() - self._watched_since > YOUNG
        if self.outlook.problem is not None or self._young_deaths < YOUNG_DEATHS or lives_on:
            return self.outlook.problem
        reason = f"{self._young_deaths} in a row died as soon as they were started"
        words = start.said(self._folder.log, 0)
        return self._error(f"{reason}, their last words: {words}" if words else reason)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await self._look()
                except (QueueError, OSError) as error:  # a disk that fails, say
                    log.warning("cannot see whether a supervisor is needed: %s", error)
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
                    await _death_of(identity, self._folder.lock)
            elif await self._expected():
                await anyio.sleep(EXPECT_INTERVAL)
            else:
                return True
        return False

    async def _recorded(self) -> str | None:
        supervisor = await self._threads.read(member_rows.supervisor)
        return supervisor.identity if supervisor is not None else None

    async def _alive(self) -> str | None:
        supervisor = await self._threads.read(lives.supervisor)
        return supervisor.identity if supervisor is not None else None

    async def _expected(self) -> bool:
        """Whether the one that we started has yet to take charge."""
        if not self._coming or clock.monotonic() - self._started_at > PATIENCE:
            return False
        return await self._recorded() == self._predecessor

    async def _look(self) -> None:
        alive = await self._alive()
        if alive is not None:
            self._deferred_at = None
            self._serves()
            if alive != self._watched:
                self._watch(alive)
        elif await self._threads.read(job_rows.unfinished) or await self._expired():
            if self._coming and await self._recorded() not in (None, self._predecessor):
                self._count_death(self._started_at)  # before we could watch it
            left = self._not_before - clock.monotonic()
            if left <= 0:
                left = await self._left_to_newer()
            if left > 0:
                self._check_in(left)
            else:
                await self._start()
        else:
            self.outlook.decide()

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
        self._started_at = now = clock.monotonic()
        self._not_before = now + PATIENCE + rest(self._young_deaths)
        # It rings us as it takes charge, and says if it cannot; if it hangs, nobody does.
        self._check_in(self._not_before - now)
        self._starts += 1
        number, loop = self._starts, asyncio.get_running_loop()
        if self._mute_since is None:
            self._mute_since = now
        elif now - self._mute_since > HANGS:
            self._fail(f"none of those started in {now - self._mute_since:.0f} s took charge")

        def tell(verdict: Verdict) -> None:
            with suppress(RuntimeError):  # our loop has ended
                loop.call_soon_threadsafe(self._heard, number, verdict)

        self.outlook.begin()
        try:
            start.start(self._folder, self._owner, self._key_file(), tell)
        except OSError as error:
            self._mute_since = None
            self._fail(_words(error))
        else:
            self._coming = self.ever_started = True

    def _heard(self, number: int, verdict: Verdict) -> None:
        """A start has gone one way or the other."""
        self._mute_since = None
        if not verdict.reason:
            self._serves()
            self.check()
            return
        if number != self._starts:
            return  # the one that was started after it will tell
        self._coming = False
        self._failed_starts += 1
        self._young_deaths += 1
        if not verdict.certain:
            self._not_before = clock.monotonic() + rest(self._young_deaths)
            self._check_in(rest(self._young_deaths))
        if verdict.certain or self._failed_starts >= DEATHS:
            self._fail(verdict.reason)

    def _fail(self, reason: str) -> None:
        self.outlook.fail(self._error(reason))

    def _error(self, reason: str) -> SupervisorError:
        return SupervisorError(reason=reason.rstrip("."), log=self._folder.log)

    def _serves(self) -> None:
        self._mute_since = None
        self._failed_starts = 0
        self.outlook.serves()

    def _watch(self, identity: str) -> None:
        self._watched, self._watched_since = identity, clock.monotonic()
        self._coming = False
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = asyncio.create_task(self._restart_after(identity))

    async def _restart_after(self, identity: str) -> None:
        since = clock.monotonic()
        try:
            await _death_of(identity, self._folder.lock)
        except OSError as error:  # no descriptor or thread to be had now, say
            log.warning("cannot watch the supervisor: %s", error)
            self._watched = None
            self._check_in(PATIENCE)
            return
        self._watched = None
        self._count_death(since)
        self.check()


async def _death_of(identity: str, lock: str) -> None:
    watching = watch_holder(identity, lock)
    try:
        await anyio.wait_readable(watching)
    finally:
        watching.close()


def _words(error: OSError) -> str:
    """Of a process that the system did not give."""
    what = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{what}"
