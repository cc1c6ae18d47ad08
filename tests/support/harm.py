"""Kill everything of a registry at once, and change what its records say of the dead."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mcp_queue.jobs import member_rows, run_rows, seals
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import key_file
from mcp_queue.system.identity import DEAD, identity_of, pid_of, state_of
from mcp_queue.system.watch import watch
from support.leaks import marked_processes
from support.processes import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SUFFIX = ".durable"  # see site_powercut
EARLIER_BOOT = "00000000-0000-4000-8000-000000000000"


def identities(path: str) -> list[str]:
    """The recorded processes of a registry: servers first, then the supervisor, then workers."""
    registry = Registry(path)
    try:
        supervisor = member_rows.supervisor(registry)
        return [
            *(server.identity for server in member_rows.servers(registry)),
            *([supervisor.identity] if supervisor is not None else []),
            *(run.identity for run in run_rows.all_runs(registry) if run.identity is not None),
        ]
    finally:
        registry.close()


def kill_all(path: str, *, more: Iterable[int] = ()) -> None:
    """SIGKILL to every process of a registry but this one; returns when all are dead."""
    own = os.getpid()
    for pid in more:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while living := [
        identity
        for identity in (*identities(path), *unrecorded(path))
        if state_of(identity) != DEAD and pid_of(identity) != own
    ]:
        for identity in living:
            if (watching := watch(identity)) is not None:
                watching.send(signal.SIGKILL)
                select.select([watching], [], [], GUARD)
                watching.close()


def unrecorded(path: str) -> list[str]:
    """The identities of supervisors that may not have taken charge yet."""
    found = (identity_of(process.pid) for process in supervisors_of(path))
    return [identity for identity in found if identity is not None]


def supervisors_of(path: str) -> list[psutil.Process]:
    """The processes of supervisors of a registry, those that come and go too."""
    found: list[psutil.Process] = []
    for process in marked_processes():
        with suppress(psutil.NoSuchProcess):
            if path in process.cmdline():
                found.append(process)
    return found


def rewrite(path: str, change: Callable[[str], str]) -> None:
    """Change every recorded identity; runs bear the seal of this user nevertheless."""
    registry = Registry(path)
    own = seals.read_key(key_file.path(None))
    with registry.transaction():
        for table, key in (("servers", "server_id"), ("supervisor", "id"), ("runs", "run_id")):
            for name, identity in registry.rows(f"SELECT {key}, identity FROM {table}"):
                if identity is not None:
                    registry.execute(
                        f"UPDATE {table} SET identity = ? WHERE {key} = ?",
                        (change(identity), name),
                    )
        for name, identity in registry.rows("SELECT run_id, identity FROM runs"):
            if identity is not None:
                seal = seals.of_run(own, name, identity)
                registry.execute("UPDATE runs SET seal = ? WHERE run_id = ?", (seal, name))
    registry.close()


def cut_power(path: str) -> None:
    """After everything is dead: leave of the registry's files what had been synced.

    The processes ran with `site_powercut`; a file that was never synced is empty, and the
    machine boots anew.
    """
    for file in (path, path + "-wal"):
        durable = Path(file + SUFFIX)
        if durable.exists():
            durable.replace(file)
        elif file != path:
            Path(file).unlink(missing_ok=True)
    Path(path + "-shm").unlink(missing_ok=True)
    files = {file for file in Path(RegistryFolder(path).runs).glob("*/*") if file.is_file()}
    synced = {file for file in files if file.suffix == SUFFIX}
    for file in files - synced:
        file.write_bytes(b"")
    for file in synced:
        file.replace(file.with_suffix(""))
    reboot(path)


def reboot(path: str) -> None:
    """Let everything in the records be of an earlier boot."""
    registry = Registry(path)
    with registry.transaction():
        for table in ("runs", "steady"):
            registry.execute(f"UPDATE {table} SET boot = ?", (EARLIER_BOOT,))
    registry.close()
    rewrite(path, lambda identity: "|".join([EARLIER_BOOT, *identity.split("|")[1:]]))


def reused_identity(pid: int) -> str:
    """The identity of a dead process that had this pid before."""
    identity = identity_of(pid)
    assert identity is not None
    boot, namespace, _, ticks = identity.split("|")
    return f"{boot}|{namespace}|{pid}|{int(ticks) - 1}"
