"""Whether the supervisor and the servers of a registry are alive.

In our own boot and pid namespace, the identity of a process decides (`system.identity`). The pid of
a process elsewhere, for example in another container on the same volume, means nothing here. For
such a process its lock or bell decides: a supervisor holds its lock, a server reads its bell, a run
holds the lock of its ``events.jsonl``. The kernel releases all three when the process dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, member_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.system.identity import ALIVE, is_here, state_of
from mcp_queue.system.locks import is_held

if TYPE_CHECKING:
    from mcp_queue.jobs.member_rows import Server, Supervisor
    from mcp_queue.jobs.registry import Registry


def supervisor(registry: Registry) -> Supervisor | None:
    """The recorded supervisor, if it is alive; one that has left in order has no row any more."""
    found = member_rows.supervisor(registry)
    if found is None:
        return None
    held = RegistryFolder(registry.path).lock
    return found if _lives(found.identity, held) else None


def serves(server: Server) -> bool:
    """Whether a recorded server is alive and not leaving."""
    if server.leaving:
        return False
    if is_here(server.identity):
        return state_of(server.identity) == ALIVE
    return bell.is_heard(server.bell)


def _lives(identity: str, held: str) -> bool:
    return state_of(identity) == ALIVE if is_here(identity) else is_held(held)
