"""The servers of the registry: who lives, whose death ends what, when nobody is left."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, job_rows, member_rows, run_rows
from mcp_queue.jobs.versions import is_newer
from mcp_queue.supervisor import erasure, shutdown
from mcp_queue.supervisor.state import Settings
from mcp_queue.system.identity import own_identity
from mcp_queue.system.watch import watch
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from mcp_queue.jobs.member_rows import Server
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.supervisor.state import State
    from mcp_queue.system.watch import Watch


def settings_in_force(registry: Registry) -> Settings:
    """The settings last written, by a server that validated them."""
    written = member_rows.settings(registry)
    # A server of another version may know other keys.
    return Settings(**{name: written[name] for name in Settings.__slots__ if name in written})


def take_charge(state: State) -> None:
    """Record that we supervise, and let the servers know, so that they watch us."""
    member_rows.take_charge(state.registry, own_identity(), __version__)
    for server in member_rows.servers(state.registry):
        bell.ring(server.bell)


def read_servers(state: State) -> None:
    """Watch the servers that came; act on those that leave."""
    for server in member_rows.servers(state.registry):
        known = state.servers.get(server.server_id)
        watching = known[1] if known is not None else _meet(state, server)
        if server.leaving and (known is None or not known[0].leaving):
            state.servers[server.server_id] = (server, watching)
            if state.owner:
                shutdown.begin(state, state.settings.shutdown_timeout)
            else:
                _forget(state, server.server_id)
    state.met_servers = True
    for server_id in [name for name, known in state.servers.items() if _is_silent(*known)]:
        _gone(state, server_id)


def has_unwatched(state: State) -> bool:
    """Whether servers of other pid namespaces are there, whose death rings nothing."""
    return any(watching is None for _, watching in state.servers.values())


def _is_silent(server: Server, watching: Watch | None) -> bool:
    return watching is None and not bell.is_heard(server.bell)


def _meet(state: State, server: Server) -> Watch | None:
    watching = watch(server.identity)
    state.servers[server.server_id] = (server, watching)
    # One that was there before us could have started a newer supervisor, and did not.
    if state.met_servers and not state.owner and is_newer(server.version, __version__):
        state.hands_over = True
    if watching is not None:
        state.loop.on_readable(watching, partial(_gone, state, server.server_id))
    bell.ring(server.bell)  # for what changed after it had looked and before it was met
    return watching


def ring_servers(state: State) -> None:
    """Ring all servers if anything changed since they were last rung."""
    rev = run_rows.latest_rev(state.registry)
    if rev != state.rung_rev:
        state.rung_rev = rev
        for server, _ in state.servers.values():
            bell.ring(server.bell)


def handed_over(state: State) -> bool:
    """Whether to leave now for a newer supervisor; not while a run is being ended.

    The workers go on and are adopted by the next one, which a server starts once we are dead.
    """
    return state.hands_over and all(run.cause is None for run in state.runs.values())


def consider_leaving(state: State) -> None:
    """Leave some time after the last server and the last started job are gone."""
    if state.owner or state.shutting_down:
        return
    if state.servers or job_rows.unfinished(state.registry):
        if state.leave_timer is not None:
            state.leave_timer.cancel()
            state.leave_timer = None
    elif state.leave_timer is None:
        state.leave_timer = state.loop.later(
            state.settings.supervisor_linger_seconds, partial(_leave, state)
        )


def _leave(state: State) -> None:
    state.leave_timer = None
    erasure.finish(state)
    if not member_rows.servers(state.registry) and member_rows.leave_charge(
        state.registry, only_idle=True
    ):
        state.loop.stop()
    else:
        state.look_soon()


def _gone(state: State, server_id: str) -> None:
    """A server process is dead, in order or not."""
    leaving = any(
        server.leaving
        for server in member_rows.servers(state.registry)
        if server.server_id == server_id
    )
    _forget(state, server_id)
    if state.owner:
        shutdown.begin(state, state.settings.shutdown_timeout if leaving else 0)
    state.look_soon()


def _forget(state: State, server_id: str) -> None:
    server, watching = state.servers.pop(server_id)
    if watching is not None:
        state.loop.forget(watching)
        watching.close()
    member_rows.forget(state.registry, server_id)
    with contextlib.suppress(OSError):
        os.unlink(server.bell)
