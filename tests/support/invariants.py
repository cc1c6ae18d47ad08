"""What must hold after every fault.

1. Every job whose id was answered to a client is still known.
2. Each job reached at most one terminal state, and reached it once (a deletion may follow).
3. No process of the project survives its owner.
4. The next server starts and serves.

And nothing is left behind: no job without an end, no folder of a run that no job needs, no lock.
The second is seen by a trigger in the registry itself, whoever writes; the third, beyond what is
checked here, by the leak check after each test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import apsw
import psutil
import pytest

from mcp_queue.jobs import job_rows, run_rows, schema, states
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from mcp_queue.system.locks import FileLock
from support.leaks import marked_processes
from support.processes import GUARD
from support.queues import clear, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord

_TRIGGERS = """
CREATE TABLE IF NOT EXISTS witness (
    n INTEGER PRIMARY KEY, job_id TEXT, before TEXT, after TEXT, run_id TEXT, rev INTEGER
);
CREATE TRIGGER IF NOT EXISTS witness_of_adding AFTER INSERT ON jobs BEGIN
    INSERT INTO witness (job_id, after, run_id, rev)
        VALUES (NEW.job_id, NEW.status, NEW.run_id, NEW.rev);
END;
CREATE TRIGGER IF NOT EXISTS witness_of_change AFTER UPDATE OF status, rev ON jobs BEGIN
    INSERT INTO witness (job_id, before, after, run_id, rev)
        VALUES (NEW.job_id, OLD.status, NEW.status, NEW.run_id, NEW.rev);
END;
"""


def _watched() -> str:
    """The digest of the registry's schema with these triggers."""
    connection = apsw.Connection(":memory:")
    schema.make(connection)
    connection.execute(_TRIGGERS)
    return schema.digest(connection)


os.environ[schema.TEST_SCHEMA] = _watched()

_MAY_FOLLOW = {
    None: {"pending"},
    "pending": {"pending", "running", "stopped", "failed", "deleted"},
    "running": {"running", "pending", "completed", "failed", "stopped", "deleted"},
    "completed": {"deleted"},
    "failed": {"deleted"},
    "stopped": {"deleted"},
    "deleted": set[str](),
}
"""Written down apart from the product's own table, which is what is tested."""


@dataclass
class Witness:
    """Sees every transition of every job of a registry, whoever makes it."""

    path: str
    answered: set[str] = field(default_factory=set[str])
    """The ids that a client was told."""

    def __post_init__(self) -> None:
        registry = Registry(self.path)
        registry.connection.execute(_TRIGGERS)
        registry.close()

    def told(self, job: JobRecord | str) -> None:
        """A client was answered with this job's id."""
        self.answered.add(job if isinstance(job, str) else job.job_id)

    def transitions(self, job_id: str) -> list[tuple[str | None, str, str | None]]:
        """``(before, after, run_id)`` of each change of a job, the addition first."""
        registry = Registry(self.path)
        rows = registry.rows(
            "SELECT before, after, run_id FROM witness WHERE job_id = ? ORDER BY n", (job_id,)
        )
        registry.close()
        return rows

    def check_jobs(self, *, forgotten: Iterable[str] = ()) -> None:
        """The first two invariants. ``forgotten``: jobs past their retention."""
        registry = Registry(self.path)
        try:
            known = {row[0] for row in registry.rows("SELECT job_id FROM jobs")}
            assert self.answered - known <= set(forgotten), "an answered job is unknown"
            history: dict[str, list[tuple[str | None, str]]] = {}
            for job_id, before, after in registry.rows(
                "SELECT job_id, before, after FROM witness ORDER BY n"
            ):
                history.setdefault(job_id, []).append((before, after))
        finally:
            registry.close()
        for job_id, changes in history.items():
            check_history(job_id, changes)

    def unfinished(self) -> list[str]:
        """Started jobs without an end."""
        registry = Registry(self.path)
        rows = registry.rows(
            "SELECT job_id FROM jobs WHERE status = 'running'"
            " OR (status = 'pending' AND start_order IS NOT NULL)"
        )
        registry.close()
        return [row[0] for row in rows]

    def strange_folders(self) -> set[str]:
        """Folders of runs that no job needs."""
        registry = Registry(self.path)
        known = run_rows.known_run_ids(registry)
        registry.close()
        return {path.name for path in Path(RegistryFolder(self.path).runs).iterdir()} - known


def check_history(job_id: str, changes: list[tuple[str | None, str]]) -> None:
    """One line of legal transitions with at most one end."""
    status: str | None = None
    for before, after in changes:
        assert before == status, f"{job_id}: {changes}"
        assert after in _MAY_FOLLOW[before], f"{job_id}: {changes}"
        status = after
    ends = [after for before, after in changes if after in states.ENDED]
    assert len(ends) <= 1, f"{job_id} ended twice: {changes}"


async def check(settings: Settings, witness: Witness, *, forgotten: Iterable[str] = ()) -> None:
    """All invariants of a persistent registry which every server has left."""
    await serves(settings)
    assert witness.unfinished() == []
    witness.check_jobs(forgotten=forgotten)
    await becomes(lambda: not witness.strange_folders(), "the folder of a run that no job needs")
    clear(witness.path)
    await becomes(lambda: not workers(), "a worker without a supervisor")
    lock = FileLock(RegistryFolder(witness.path).lock)
    await becomes(lock.try_acquire, "the lock of a supervisor that has left")
    lock.release()


async def serves(settings: Settings) -> None:
    """A new server opens the registry, runs what waits and a job of its own."""
    async with await QueueManager.open(settings) as queue:
        record = await run(queue, "add", a=2, b=3)
        assert (record.status, record.result) == ("completed", 5)
        if not settings.in_memory:
            registry = Registry(queue.registry_path)
            await becomes(lambda: not job_rows.unfinished(registry), "a job without an end")
            registry.close()
        assert (await queue.get_queue_health())["status"] == "healthy"


def settings_path(settings: Settings) -> str:
    """The file of a persistent registry."""
    assert settings.registry_path is not None
    return settings.registry_path


def workers() -> list[psutil.Process]:
    """The living processes of runs that this test session has started."""
    found: list[psutil.Process] = []
    for process in marked_processes():
        try:
            if "MCP_QUEUE_RUN" in process.environ():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


async def becomes(is_so: Callable[[], object], otherwise: str) -> None:
    """Look until something is so; ``otherwise`` is what is there if that does not happen."""
    with anyio.move_on_after(GUARD):
        while not is_so():
            await anyio.sleep(0.01)
        return
    pytest.fail(f"left: {otherwise}")
