"""Start a supervisor while there is work, watch it, and start another one if it dies."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from mcp_queue import clock
from mcp_queue.errors import QueueError, SupervisorError
from mcp_queue.jobs import job_rows, lives, member_rows, retention
from mcp_queue.jobs.package_versions import is_newer
from mcp_queue.manager import supervisor_start
from mcp_queue.manager.availability import Availability
from mcp_queue.manager.supervisor_start import StartResult
from mcp_queue.system.watch import watch_holder
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.manager.registry_threads import RegistryThreads

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds for a started supervisor to take charge before another is tried
YOUNG = 1.0  # seconds; after several younger deaths in a row the next start is delayed
YOUNG_DEATHS = 3  # so many young deaths in a row are a problem
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 1.0  # seconds before the third start, and at most
FAILED_STARTS = 2  # killed starts in a row, after which the start has failed
HANG_LIMIT = 10.0  # seconds without a report of any start, after which it has failed
QUICK_RETRY = 1.0  # seconds after a failed start, after which a call starts again at once
LONGEST_WAIT = 3600.0  # seconds between checks for expired jobs without a supervisor
EXIT_INTERVAL = 0.02  # seconds between checks for a starting supervisor at our exit


def is_unsupervised(registry: Registry) -> bool:
    """Whether the registry has no supervisor. After a commit a leaving one has no row."""
    return lives.supervisor(registry) is None


def has_newer_server(registry: Registry) -> bool:
    """Whether a living server is newer than this one, so that it should start the supervisor."""
    return any(
        is_newer(server.version, __version__) and lives.serves(server)
        for server in member_rows.servers(registry)
    )


def backoff(young_deaths: int) -> float:
    """Seconds before the next start, after ``young_deaths`` in a row."""
    if young_deaths < 2:
        return 0.0
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(young_deaths - 2, 30))


class Supervision:
    """A task of a manager, woken by `check`. ``owner``: see `supervisor.state.State.owner`."""

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
        self._starting = False
        self._watched: str | None = None
        self._watched_since = 0.0
        self._watcher: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._deferred_at: float | None = None
        self._starts = 0
        self._failed_starts = 0  # in a row
        self._unanswered_since: float | None = None  # the first start in a row without a report
        self.availability = Availability()
        self.ever_started = False

    def check(self) -> None:
        """Check whether a supervisor is needed and missing."""
        self._wake.set()

    def require(self) -> None:
        """Start the supervisor that is missing. `problem_after_start` waits for the result."""
        if self.availability.problem is None:
            self.availability.start_began()
        elif not self._starting and clock.monotonic() - self._started_at > QUICK_RETRY:
            self._not_before = clock.monotonic()
            self.availability.start_began()
        self.check()

    async def problem_after_start(self) -> SupervisorError | None:
        """Why no supervisor could be started. Waits for a start that is going on."""
        return await self.availability.problem_after_start(PATIENCE)

    @property
    def problem(self) -> SupervisorError | None:
        """Why no supervisor could be started, or that supervisors die soon after their start."""
        lives_on = self._watched is not None and clock.monotonic() - self._watched_since > YOUNG
        if self.availability.problem is not None or self._young_deaths < YOUNG_DEATHS or lives_on:
            return self.availability.problem
        reason = f"{self._young_deaths} in a row died as soon as they were started"
        words = supervisor_start.last_error_line(self._folder.log, 0)
        return self._error(f"{reason}, their last words: {words}" if words else reason)

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await self._check()
                except (QueueError, OSError) as error:  # a failing disk, for example
                    log.warning("cannot see whether a supervisor is needed: %s", error)
                    self._check_in(PATIENCE)
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
            if self._expiry is not None:
                self._expiry.cancel()

    async def wait_until_gone(self, seconds: float) -> bool:
        """Wait until no supervisor lives or starts; False if one still does after ``seconds``."""
        deadline = clock.monotonic() + seconds
        while (left := deadline - clock.monotonic()) > 0:
            if (identity := await self._alive()) is not None:
                with anyio.move_on_after(left):
                    await _death_of(identity, self._folder.lock)
            elif await self._is_starting():
                await anyio.sleep(EXIT_INTERVAL)
            else:
                return True
        return False

    async def _recorded(self) -> str | None:
        supervisor = await self._threads.read(member_rows.supervisor)
        return supervisor.identity if supervisor is not None else None

    async def _alive(self) -> str | None:
        supervisor = await self._threads.read(lives.supervisor)
        return supervisor.identity if supervisor is not None else None

    async def _is_starting(self) -> bool:
        """Whether the supervisor that we started has not taken charge yet."""
        if not self._starting or clock.monotonic() - self._started_at > PATIENCE:
            return False
        return await self._recorded() == self._predecessor

    async def _check(self) -> None:
        alive = await self._alive()
        if alive is not None:
            self._deferred_at = None
            self._on_supervisor_found()
            if alive != self._watched:
                self._watch(alive)
        elif await self._threads.read(job_rows.unfinished) or await self._expired():
            if self._starting and await self._recorded() not in (None, self._predecessor):
                self._count_death(self._started_at)  # it died before we could watch it
            left = self._not_before - clock.monotonic()
            if left <= 0:
                left = await self._seconds_for_newer()
            if left > 0:
                self._check_in(left)
            else:
                await self._start()
        else:
            self.availability.start_decided()

    def _count_death(self, since: float) -> None:
        """A supervisor that took charge is dead; the next one starts after `backoff`."""
        now = clock.monotonic()
        self._starting = False
        self._young_deaths = self._young_deaths + 1 if now - since < YOUNG else 0
        self._not_before = now + backoff(self._young_deaths)

    async def _expired(self) -> bool:
        """Whether jobs are past their retention; otherwise schedules a check for the next."""
        due = await self._threads.read(retention.due_in)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if due is not None and due > 0:
            wait = min(due, LONGEST_WAIT)
            self._expiry = asyncio.get_running_loop().call_later(wait, self.check)
        return due is not None and due <= 0

    async def _seconds_for_newer(self) -> float:
        """Seconds that a newer server still has to start its supervisor; it may fail to."""
        if not await self._threads.read(has_newer_server):
            return 0.0
        if self._deferred_at is None:
            self._deferred_at = clock.monotonic()
        return self._deferred_at + PATIENCE - clock.monotonic()

    def _check_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.check)

    async def _start(self) -> None:
        self._predecessor = await self._recorded()
        self._young_deaths += self._starting  # the previous one never took charge
        self._started_at = now = clock.monotonic()
        self._not_before = now + PATIENCE + backoff(self._young_deaths)
        # It rings when it takes charge, and reports a failure. The timer handles one that hangs.
        self._check_in(self._not_before - now)
        self._starts += 1
        number, loop = self._starts, asyncio.get_running_loop()
        if self._unanswered_since is None:
            self._unanswered_since = now
        elif now - self._unanswered_since > HANG_LIMIT:
            self._fail(f"none of those started in {now - self._unanswered_since:.0f} s took charge")

        def report(result: StartResult) -> None:
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(self._on_start_result, number, result)

        self.availability.start_began()
        try:
            supervisor_start.start(self._folder, self._owner, self._key_file(), report)
        except OSError as error:
            self._unanswered_since = None
            self._fail(_error_text(error))
        else:
            self._starting = self.ever_started = True

    def _on_start_result(self, number: int, result: StartResult) -> None:
        """A start has succeeded or failed."""
        self._unanswered_since = None
        if not result.reason:
            self._on_supervisor_found()
            self.check()
            return
        if number != self._starts:
            return  # a later start will report
        self._starting = False
        self._failed_starts += 1
        self._young_deaths += 1
        if not result.certain:
            self._not_before = clock.monotonic() + backoff(self._young_deaths)
            self._check_in(backoff(self._young_deaths))
        if result.certain or self._failed_starts >= FAILED_STARTS:
            self._fail(result.reason)

    def _fail(self, reason: str) -> None:
        self.availability.start_failed(self._error(reason))

    def _error(self, reason: str) -> SupervisorError:
        return SupervisorError(reason=reason.rstrip("."), log=self._folder.log)

    def _on_supervisor_found(self) -> None:
        self._unanswered_since = None
        self._failed_starts = 0
        self.availability.supervisor_found()

    def _watch(self, identity: str) -> None:
        self._watched, self._watched_since = identity, clock.monotonic()
        self._starting = False
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = asyncio.create_task(self._restart_after(identity))

    async def _restart_after(self, identity: str) -> None:
        since = clock.monotonic()
        try:
            await _death_of(identity, self._folder.lock)
        except OSError as error:  # no free descriptor or thread, for example
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


def _error_text(error: OSError) -> str:
    """The text of an error of starting a process."""
    what = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{what}"
