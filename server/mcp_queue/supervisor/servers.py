"""The servers of the registry: watching them, ringing them, leaving after the last one."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, job_rows, member_rows, run_rows
from mcp_queue.jobs.package_versions import is_newer
from mcp_queue.supervisor import shutdown
from mcp_queue.system.identity import own_identity
from mcp_queue.system.watch import watch
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from mcp_queue.jobs.member_rows import Server
    from mcp_queue.supervisor.erasure import Erasure
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import State
    from mcp_queue.system.watch import Watch


class Servers:
    """Watches the servers of the registry, rings them, and leaves after the last one."""

    def __init__(self, state: State, erasure: Erasure) -> None:
        self._state = state
        self._erasure = erasure
        self._servers: dict[str, tuple[Server, Watch | None]] = {}
        """By the server's id. A server of another pid namespace has no watch."""
        self._first_read_done = False
        """The servers that were there before this supervisor are in ``_servers``."""
        self._newer_server = False
        """A server of a newer version came: leave, so that it can start a newer supervisor."""
        self._announced_rev = 0
        """The ``rev`` for which the servers were last rung."""
        self._leave_timer: Timer | None = None

    def take_charge(self) -> None:
        """Record this supervisor, and ring the servers, so that they watch it."""
        registry = self._state.registry
        member_rows.take_charge(registry, own_identity(), __version__)
        for server in member_rows.servers(registry):
            bell.ring(server.bell)

    def read(self) -> None:
        """Watch new servers; act on servers that leave."""
        for server in member_rows.servers(self._state.registry):
            known = self._servers.get(server.server_id)
            watching = known[1] if known is not None else self._add(server)
            if server.leaving and (known is None or not known[0].leaving):
                self._servers[server.server_id] = (server, watching)
                if self._state.owner:
                    shutdown.begin(self._state, self._state.settings.shutdown_timeout)
                else:
                    self._remove(server.server_id)
        self._first_read_done = True
        for server_id in [name for name, known in self._servers.items() if _is_silent(*known)]:
            self._on_death(server_id)

    def has_unwatched(self) -> bool:
        """Whether there are servers of other pid namespaces, whose death cannot be watched."""
        return any(watching is None for _, watching in self._servers.values())

    def ring(self) -> None:
        """Ring all servers if anything changed since they were last rung."""
        rev = run_rows.latest_rev(self._state.registry)
        if rev != self._announced_rev:
            self._announced_rev = rev
            for server, _ in self._servers.values():
                bell.ring(server.bell)

    def must_hand_over(self) -> bool:
        """Whether to leave now for a newer supervisor; never while a run is being ended.

        The workers go on. A server starts the next supervisor after this one is dead, and that
        adopts them.
        """
        return self._newer_server and all(run.cause is None for run in self._state.runs.values())

    def schedule_leaving(self) -> None:
        """Leave after a delay if no server and no started job are left."""
        state = self._state
        if state.owner or state.shutting_down:
            return
        if self._servers or job_rows.unfinished(state.registry):
            if self._leave_timer is not None:
                self._leave_timer.cancel()
                self._leave_timer = None
        elif self._leave_timer is None:
            linger = state.settings.supervisor_linger_seconds
            self._leave_timer = state.loop.later(linger, self._leave)

    def close(self) -> None:
        """Stop watching all servers."""
        for _, watching in self._servers.values():
            self._unwatch(watching)
        self._servers.clear()

    def _add(self, server: Server) -> Watch | None:
        watching = watch(server.identity)
        self._servers[server.server_id] = (server, watching)
        # A server that was there before could have started a newer supervisor, and did not.
        is_new = self._first_read_done and not self._state.owner
        if is_new and is_newer(server.version, __version__):
            self._newer_server = True
        if watching is not None:
            self._state.loop.on_readable(watching, partial(self._on_death, server.server_id))
        bell.ring(server.bell)  # something may have changed after its last read and before this
        return watching

    def _leave(self) -> None:
        self._leave_timer = None
        self._erasure.erase_now()
        registry = self._state.registry
        if not member_rows.servers(registry) and member_rows.leave_charge(registry, only_idle=True):
            self._state.loop.stop()
        else:
            self._state.checks.soon()

    def _on_death(self, server_id: str) -> None:
        """A server process is dead, after an orderly end or not."""
        leaving = any(
            server.leaving
            for server in member_rows.servers(self._state.registry)
            if server.server_id == server_id
        )
        self._remove(server_id)
        if self._state.owner:
            seconds = self._state.settings.shutdown_timeout if leaving else 0
            shutdown.begin(self._state, seconds)
        self._state.checks.soon()

    def _remove(self, server_id: str) -> None:
        server, watching = self._servers.pop(server_id)
        self._unwatch(watching)
        member_rows.forget(self._state.registry, server_id)
        with contextlib.suppress(OSError):
            os.unlink(server.bell)

    def _unwatch(self, watching: Watch | None) -> None:
        if watching is not None:
            self._state.loop.forget(watching)
            watching.close()


def _is_silent(server: Server, watching: Watch | None) -> bool:
    return watching is None and not bell.is_heard(server.bell)
