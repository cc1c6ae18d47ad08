"""The rows of a registry's servers and of its supervisor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.jobs import job_rows, setting_rows, steady, trust
from mcp_queue.jobs.folder import RegistryFolder

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.shared_settings import SharedSettings


@dataclass(frozen=True, slots=True)
class Server:
    """A server process that uses the registry."""

    server_id: str
    identity: str
    bell: str
    leaving: bool
    """It leaves in order; a server that ended without this mark was killed."""
    version: str = ""
    """The version of its package. If it is newer than the supervisor's, a new supervisor starts."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The process that runs the registry's jobs."""

    identity: str
    version: str
    started_at: float


def enter(registry: Registry, server: Server, settings: SharedSettings) -> None:
    """Record a server and its settings, which are in force from now on."""
    row = (server.server_id, server.identity, server.bell, int(server.leaving), server.version)
    with registry.transaction(durable=False):
        registry.execute("INSERT OR REPLACE INTO servers VALUES (?, ?, ?, ?, ?)", row)
        setting_rows.write(registry, settings)
        steady.now(registry)  # anchors the steady clock in this boot


def mark_leaving(registry: Registry, server_id: str) -> None:
    """Record that a server leaves in order."""
    with registry.transaction(durable=False):
        registry.execute("UPDATE servers SET leaving = 1 WHERE server_id = ?", (server_id,))


def forget(registry: Registry, server_id: str) -> None:
    """Remove the row of a server that has ended."""
    with registry.transaction(durable=False):
        registry.execute("DELETE FROM servers WHERE server_id = ?", (server_id,))


def servers(registry: Registry) -> list[Server]:
    """All recorded servers, alive or not."""
    rows = registry.rows("SELECT server_id, identity, leaving, version FROM servers")
    folder = RegistryFolder(registry.path)
    # In another container the registry may have another path, so a bell's path is made of its name.
    return [
        Server(name, identity, folder.server_bell(name), bool(leaving), version)
        for name, identity, leaving, version in rows
        if trust.is_name(name)  # this program writes only such names
    ]


def supervisor(registry: Registry) -> Supervisor | None:
    """The recorded supervisor, which may be dead; None when there is none."""
    rows = registry.rows("SELECT identity, version, started_at FROM supervisor")
    if not rows:
        return None
    return Supervisor(*rows[0])


def take_charge(registry: Registry, identity: str, version: str) -> None:
    """Record the supervisor. Only the holder of the supervisor's lock may call this."""
    with registry.transaction(durable=False):
        registry.execute(
            "INSERT OR REPLACE INTO supervisor VALUES (1, ?, ?, ?)",
            (identity, version, clock.wall()),
        )


def leave_charge(registry: Registry, *, only_idle: bool) -> bool:
    """Remove the supervisor's row; with ``only_idle``, only if there is no work.

    One transaction checks and removes. So a server that submits a job later finds no row and starts
    another supervisor, and a job submitted before keeps this supervisor running.
    """
    with registry.transaction("leave", durable=False):
        if only_idle and job_rows.unfinished(registry):
            return False
        registry.execute("DELETE FROM supervisor")
        return True
