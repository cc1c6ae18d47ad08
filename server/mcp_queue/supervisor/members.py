"""The servers of the registry: who lives, whose death ends what, when nobody is left."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, job_rows, member_rows, run_rows
from mcp_queue.jobs.versions import is_newer
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


class Members:
    """Watches the servers, rings them, and leaves after the last one."""

    def __init__(self, state: State, erasure: Erasure) -> None:
        self._state = state
        self._erasure = erasure
        self._servers: dict[str, tuple[Server, Watch | None]] = {}
        """By the server's id; without a watch where it lives in another pid namespace."""
        self._met_first = False
        """The servers that were there before us have been met."""
        self._newer_came = False
        """A newer server came: we leave, so that it can start a newer supervisor."""
        self._rung_rev = 0
        """The last change that the servers were rung for."""
        self._leave_timer: Timer | None = None

    def take_charge(self) -> None:
        """Record that we supervise, and let the servers know, so that they watch us."""
        registry = self._state.registry
        member_rows.take_charge(registry, own_identity(), __version__)
        for server in member_rows.servers(registry):
            bell.ring(server.bell)

    def read(self) -> None:
        """Watch the servers that came; act on those that leave."""
        for server in member_rows.servers(self._state.registry):
            known = self._servers.get(server.server_id)
            watching = known[1] if known is not None else self._meet(server)
            if server.leaving and (known is None or not known[0].leaving):
                self._servers[server.server_id] = (server, watching)
                if self._state.owner:
                    shutdown.begin(self._state, self._state.settings.shutdown_timeout)
                else:
                    self._forget(server.server_id)
        self._met_first = True
        for server_id in [name for name, known in self._servers.items() if _is_silent(*known)]:
            self._gone(server_id)

    def has_unwatched(self) -> bool:
        """Whether servers of other pid namespaces are there, whose death rings nothing."""
        return any(watching is None for _, watching in self._servers.values())

    def ring(self) -> None:
        """Ring all servers if anything changed since they were last rung."""
        rev = run_rows.latest_rev(self._state.registry)
        if rev != self._rung_rev:
            self._rung_rev = rev
            for server, _ in self._servers.values():
                bell.ring(server.bell)

    def must_hand_over(self) -> bool:
        """Whether to leave now for a newer supervisor; not while a run is being ended.

        The workers go on and are adopted by the next one, which a server starts once we are dead.
        """
        return self._newer_came and all(run.cause is None for run in self._state.runs.values())

    def consider_leaving(self) -> None:
        """Leave some time after the last server and the last started job are gone."""
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
        """Watch nobody any more."""
        for _, watching in self._servers.values():
            self._unwatch(watching)
        self._servers.clear()

    def _meet(self, server: Server) -> Watch | None:
        watching = watch(server.identity)
        self._servers[server.server_id] = (server, watching)
        # One that was there before us could have started a newer supervisor, and did not.
        is_new = self._met_first and not self._state.owner
        if is_new and is_newer(server.version, __version__):
            self._newer_came = True
        if watching is not None:
            self._state.loop.on_readable(watching, partial(self._gone, server.server_id))
        bell.ring(server.bell)  # for what changed after it had looked and before it was met
        return watching

    def _leave(self) -> None:
        self._leave_timer = None
        self._erasure.finish()
        registry = self._state.registry
        if not member_rows.servers(registry) and member_rows.leave_charge(registry, only_idle=True):
            self._state.loop.stop()
        else:
            self._state.looks.soon()

    def _gone(self, server_id: str) -> None:
        """A server process is dead, in order or not."""
        leaving = any(
            server.leaving
            for server in member_rows.servers(self._state.registry)
            if server.server_id == server_id
        )
        self._forget(server_id)
        if self._state.owner:
            seconds = self._state.settings.shutdown_timeout if leaving else 0
            shutdown.begin(self._state, seconds)
        self._state.looks.soon()

    def _forget(self, server_id: str) -> None:
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
