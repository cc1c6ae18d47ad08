"""Who takes part in a registry: its servers and its one supervisor."""

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
    """It said that it leaves; a server that is gone without saying so was killed."""
    version: str = ""
    """Of its package. The supervisor hands over when one that is newer than itself comes."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The process that runs the registry's jobs."""

    identity: str
    version: str
    started_at: float


def enter(registry: Registry, server: Server, settings: SharedSettings) -> None:
    """Record a server and the settings that hold from now on."""
    row = (server.server_id, server.identity, server.bell, int(server.leaving), server.version)
    with registry.transaction(durable=False):
        registry.execute("INSERT OR REPLACE INTO servers VALUES (?, ?, ?, ?, ?)", row)
        setting_rows.write(registry, settings)
        steady.now(registry)  # so that it goes on in this boot


def mark_leaving(registry: Registry, server_id: str) -> None:
    """Record that a server leaves in order."""
    with registry.transaction(durable=False):
        registry.execute("UPDATE servers SET leaving = 1 WHERE server_id = ?", (server_id,))


def forget(registry: Registry, server_id: str) -> None:
    """Remove the row of a server that is gone."""
    with registry.transaction(durable=False):
        registry.execute("DELETE FROM servers WHERE server_id = ?", (server_id,))


def servers(registry: Registry) -> list[Server]:
    """All recorded servers, live or not."""
    rows = registry.rows("SELECT server_id, identity, leaving, version FROM servers")
    folder = RegistryFolder(registry.path)
    # Another container may know the registry under another path, so a bell is found by its name.
    return [
        Server(name, identity, folder.server_bell(name), bool(left), version)
        for name, identity, left, version in rows
        if trust.is_name(name)  # else no server of ours wrote it
    ]


def supervisor(registry: Registry) -> Supervisor | None:
    """The recorded supervisor, which may be dead; None when there is none."""
    rows = registry.rows("SELECT identity, version, started_at FROM supervisor")
    if not rows:
        return None
    return Supervisor(*rows[0])


def take_charge(registry: Registry, identity: str, version: str) -> None:
    """Record the supervisor; the holder of the lock alone may."""
    with registry.transaction(durable=False):
        registry.execute(
            "INSERT OR REPLACE INTO supervisor VALUES (1, ?, ?, ?)",
            (identity, version, clock.wall()),
        )


def leave_charge(registry: Registry, *, only_idle: bool) -> bool:
    """Remove the supervisor's row; with ``only_idle`` only while there is no work.

    One transaction decides both, so a server that submits later finds the row gone and starts
    another supervisor, and one that submitted before keeps this one.
    """
    with registry.transaction("leave", durable=False):
        if only_idle and job_rows.unfinished(registry):
            return False
        registry.execute("DELETE FROM supervisor")
        return True
