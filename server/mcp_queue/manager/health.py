"""The state of the queue. Its cost does not grow with the number of jobs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import apsw

from mcp_queue import clock
from mcp_queue.errors import DiskCapError, RegistryGoneError
from mcp_queue.jobs import damage, job_rows, lives, member_rows, seals, setting_rows, states
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.manager import disk
from mcp_queue.system.identity import pid_of
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from mcp_queue.errors import QueueError
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.manager.disk import Usage

LOW_DISK = 1024 * 1024  # bytes; SQLite needs some of them for a single write
KEPT_ASIDE = (
    "This registry was damaged and is kept aside, with the logs and results of its runs in the "
    "folder beside it; its jobs are not known here. `sqlite3 FILE .recover` may read more of it. "
    "Remove both when you need them no more."
)


def health(
    registry: Registry,
    settings: Settings,
    path: str,
    problem: QueueError | None = None,
    usage: Usage | None = None,
    key_file: str | None = None,
) -> dict[str, Any]:
    """Totals by state, the settings in force, servers and supervisor, and problems."""
    totals = job_rows.totals(registry)
    view: dict[str, Any] = {
        "status": "healthy" if settings.enabled else "disabled",
        "running": settings.enabled,
        "total_jobs": sum(n for status, n in totals.items() if status != states.DELETED),
        **{f"{s}_jobs": n for s, n in totals.items() if s != states.DELETED},
        **setting_rows.in_force(registry).shown(),
        **(_usage(registry, usage) if usage is not None else {}),
        "in_memory": settings.in_memory,
        "registry_path": path,
        "servers": sum(lives.serves(server) for server in member_rows.servers(registry)),
        "supervisor": _supervisor(registry),
        "version": __version__,
        "sqlite_version": apsw.sqlite_lib_version(),
    }
    problems = _problems(path, problem)
    for refusal in (_over_cap(registry, usage), key_file and seals.fault_of(key_file)):
        if refusal:
            problems.append(f"No new job is taken. {refusal.message} {refusal.hint}")
    if settings.enabled and problems:
        view["status"] = "degraded"
        view["problem"] = " ".join(problems)
    if kept := damage.kept_aside(path):
        view["kept_aside"] = kept
        view["note"] = KEPT_ASIDE
    if settings.in_memory:
        view["note"] = "In memory: jobs and results end with this server." + (
            " registry_path is ignored." if settings.registry_path else ""
        )
    return view


def _problems(path: str, problem: QueueError | None) -> list[str]:
    folder = RegistryFolder(path)
    if not os.path.isdir(folder.runs):
        gone = RegistryGoneError(path=path, reason=f"its folder {folder.path} was removed")
        return [f"{gone.message} {gone.hint}"]
    found: list[str] = []
    if _free(path) < LOW_DISK:
        found.append("The disk is full: jobs are neither taken nor settled until there is room.")
    if problem is not None:
        found.append(f"{problem.message} {problem.hint}")
    return found


def _over_cap(registry: Registry, usage: Usage | None) -> DiskCapError | None:
    """Why jobs are refused now, by the last measurement of the disk."""
    cap = setting_rows.in_force(registry).disk_cap_bytes
    if cap is None or usage is None:
        return None
    used = disk.bytes_of(registry) + usage.runs
    return DiskCapError(used=f"{used:,}", cap=f"{cap:,}") if used > cap else None


def _free(path: str) -> int:
    """Bytes of the registry's disk that may still be used."""
    try:
        return shutil.disk_usage(os.path.dirname(path)).free
    except OSError:
        return LOW_DISK


def _usage(registry: Registry, usage: Usage) -> dict[str, Any]:
    return {
        "artifact_bytes": usage.artifacts,
        "disk_bytes": disk.bytes_of(registry) + usage.runs,
    }


def _supervisor(registry: Registry) -> dict[str, Any]:
    """The supervisor, if any. It leaves when idle, so its absence is no problem."""
    found = lives.supervisor(registry)
    if found is None:
        return {"running": False}
    return {
        "running": True,
        "pid": pid_of(found.identity),
        "version": found.version,
        "started_at": clock.iso(found.started_at),
    }
