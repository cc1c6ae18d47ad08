"""Who of a registry lives, proved by what the kernel gives and never by a pid from elsewhere.

In our own boot and pid namespace an identity tells (`system.identity`). Of a process elsewhere, in
another container on the same volume say, what it holds tells: the supervisor its lock, a server its
bell, a run the lock of its ``events.jsonl``. The kernel takes all three away at a death.
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
    """The recorded supervisor if it lives; after a commit this sees a leaver's row gone."""
    found = member_rows.supervisor(registry)
    if found is None:
        return None
    held = RegistryFolder(registry.path).lock
    return found if _lives(found.identity, held) else None


def serves(server: Server) -> bool:
    """Whether a recorded server lives and stays."""
    if server.leaving:
        return False
    if is_here(server.identity):
        return state_of(server.identity) == ALIVE
    return bell.is_heard(server.bell)


def _lives(identity: str, held: str) -> bool:
    return state_of(identity) == ALIVE if is_here(identity) else is_held(held)
