"""This process's membership in a registry: its row, its bell, its threads and its watchers."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from mcp_queue.errors import QueueError, RegistryGoneError
from mcp_queue.jobs import bell, erase, job_rows, member_rows, run_rows
from mcp_queue.jobs.bell import Bell
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.manager import key_file, leftovers, supervision
from mcp_queue.manager.registry_threads import RegistryThreads
from mcp_queue.manager.supervision import Supervision
from mcp_queue.manager.watchers import Watchers
from mcp_queue.system.identity import own_identity
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from typing import Concatenate, ParamSpec, TypeVar

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.jobs.registry import Registry

    P = ParamSpec("P")
    T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY = 1.0  # seconds until a failed read of the registry is tried again
ERASE = 0.3  # seconds between a deletion and the erasure, and from one try to the next
LEAVE_MARGIN = 1.0  # seconds beyond ``shutdown_timeout`` that the end of in-memory jobs may take


class Membership:
    """Its owner opens it once and closes it once. `close` releases everything."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._temporary: str | None = None
        if settings.in_memory:
            self._temporary = leftovers.make_temporary_folder()
            self.registry_path = os.path.join(self._temporary, leftovers.REGISTRY)
        else:
            # Links resolved: one file has one folder, lock and set of bells.
            self.registry_path = os.path.realpath(settings.registry_file)
            key_file.check_home()  # without a key no job could be added
        self.folder = RegistryFolder(self.registry_path)
        self._identity = own_identity()
        self._server_id = uuid.uuid4().hex
        self._threads = RegistryThreads()
        self._watchers = Watchers()
        self._seen_rev = 0
        self.supervision = Supervision(
            self._threads,
            self.folder,
            self._identity if settings.in_memory else "",
            self.key_file,
        )
        self._bell: Bell | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._erasing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open or make the registry and join it. Close it even after this has failed."""
        left = erase.is_due(self.registry_path)
        await self._threads.open(self.registry_path)
        self.folder.make()
        path = self.folder.server_bell(self._server_id)
        self._bell = Bell(path)
        server = member_rows.Server(
            self._server_id, self._identity, path, leaving=False, version=__version__
        )
        await self._threads.write(member_rows.enter, server, self._settings)
        self._tasks = [
            asyncio.create_task(self._answer_bell(self._bell)),
            asyncio.create_task(self.supervision.run()),
        ]
        self.supervision.check()
        bell.ring(self.folder.bell, bell.REGISTRY)
        if left:
            self._erase_soon()
        if self._temporary is not None:
            self._tasks.append(asyncio.create_task(asyncio.to_thread(leftovers.clean)))

    async def close(self, *, wait: bool = True) -> None:
        """Leave the registry. Persistent jobs go on.

        In-memory jobs are asked to stop and killed after ``shutdown_timeout``; ``wait`` for that.
        """
        erasing = self._erasing is not None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._watchers.close()
        gone = not self.supervision.ever_started
        if self._bell is not None:
            with suppress(Exception):
                await self._threads.write(member_rows.mark_leaving, self._server_id)
                if erasing:
                    await self._threads.write(_erase_unless_supervised)
            bell.ring(self.folder.bell, bell.REGISTRY)
            if wait and self._temporary is not None:
                patience = self._settings.shutdown_timeout + LEAVE_MARGIN
                gone = await self.supervision.wait_until_gone(patience)
            self._bell.close()
            self._bell = None
        self._threads.close(wait=wait)
        if self._temporary is not None and gone:  # else the supervisor removes it
            shutil.rmtree(self._temporary, ignore_errors=True)

    def key_file(self) -> str:
        """The path of the key with which this process seals jobs."""
        return key_file.path(self._temporary)

    async def read(
        self, function: Callable[Concatenate[Registry, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of a function that only reads."""
        return await self._threads.read(function, *args, **kwargs)

    async def change(
        self, function: Callable[Concatenate[Registry, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write, then ring the supervisor and all servers; start a supervisor if there is none."""

        def write(registry: Registry) -> tuple[T, list[str], bool]:
            if not os.path.isdir(self.folder.runs):
                reason = f"its folder {self.folder.path} was removed"
                raise RegistryGoneError(path=self.registry_path, reason=reason)
            answer = function(registry, *args, **kwargs)
            bells = [server.bell for server in member_rows.servers(registry)]
            return answer, bells, supervision.is_unsupervised(registry)

        answer, bells, unsupervised = await self._threads.write(write)
        for path in (self.folder.bell, *bells):
            bell.ring(path, bell.REGISTRY)
        if unsupervised:
            self.supervision.require()
        return answer

    async def erase_later(self) -> None:
        """Erase removed data soon, unless a supervisor is there to do it."""
        if await self._threads.read(supervision.is_unsupervised):
            self._erase_soon()

    def _erase_soon(self) -> None:
        if self._erasing is None:
            self._erasing = asyncio.create_task(self._erase())
            self._tasks = [*(task for task in self._tasks if not task.done()), self._erasing]

    async def _erase(self) -> None:
        """Erase after a delay, together with other removals. A new supervisor does it instead."""
        done = False
        while not done:
            await anyio.sleep(ERASE)
            self._erasing = None  # removals from now on get another task
            done = await self._threads.write(_erase_unless_supervised)

    async def watch(
        self, job_ids: Iterable[str] | None = None, begin: Callable[[], None] | None = None
    ) -> AsyncGenerator[JobRecord]:
        """See `QueueManager.watch`."""
        names = None if job_ids is None else tuple(dict.fromkeys(job_ids))
        if not self._watchers:
            rev = await self._threads.read(run_rows.latest_rev)
            if not self._watchers:  # else another watcher would miss the changes up to rev
                self._seen_rev = rev
        watcher = self._watchers.add(frozenset(names) if names is not None else None)
        try:
            if begin is not None:
                begin()
            seen: dict[str, int] = {}
            for name in names or ():
                record = await self._threads.read(job_rows.get, name)
                seen[name] = record.rev
                yield record
            while True:
                for record in await watcher.next():
                    if record.rev > seen.get(record.job_id, 0):
                        seen[record.job_id] = record.rev
                        yield record
        finally:
            watcher.close()

    async def _answer_bell(self, own: Bell) -> None:
        """Answer our bell: publish the changes since the last read."""
        while True:
            await anyio.wait_readable(own)
            own.hush()
            self.supervision.check()
            try:
                await self._publish_changes()
            except QueueError as error:  # a failing disk, for example
                log.warning("cannot see what changed: %s", error)
                await anyio.sleep(RETRY)
                bell.ring(own.path)

    async def _publish_changes(self) -> None:
        while self._watchers:
            changed = await self._threads.read(job_rows.changed_since, self._seen_rev, 1000)
            if not changed:
                return
            self._seen_rev = changed[-1].rev
            self._watchers.publish(changed)


def _erase_unless_supervised(registry: Registry) -> bool:
    return not supervision.is_unsupervised(registry) or erase.erase(registry)
