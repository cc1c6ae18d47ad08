"""A damaged registry is kept aside, whole, and a new one begins; not while anything of it lives."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_queue.errors import RegistryDamagedError
from mcp_queue.jobs import bell, events, member_rows, run_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from mcp_queue.system.identity import pid_of
from mcp_queue.system.watch import watch
from support import invariants, queues, scenes
from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_queue.config import Settings
    from mcp_queue.jobs.run_rows import RunRow
    from support.processes import Lifelines
    from support.serving import Setup


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil_jobs(path: Path) -> None:
    """Damage that a server meets only as it is asked for jobs."""
    registry = Registry(str(path))
    page = registry.value("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'")
    _spoil(registry, 4096 * (page - 1), 4096)


def spoil_schema(path: Path) -> None:
    """Damage that everyone meets who opens the file from now on."""
    _spoil(Registry(str(path)), 100, 3996)


def _spoil(registry: Registry, offset: int, length: int) -> None:
    registry.connection.pragma("wal_checkpoint", "truncate")
    path = registry.path
    registry.close()
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * length)


@pytest.fixture
def path(persistent: Settings) -> Iterator[Path]:
    """Where the registry is; what is there at the end serves."""
    path = Path(invariants.settings_path(persistent))
    yield path
    queues.clear(str(path))


async def make(persistent: Settings) -> str:
    """A registry with a job that has ended, nobody using it; the run of the job."""
    async with scenes.scene(persistent) as scene:
        record = await scene.run("noisy")
    assert record.run_id is not None
    return record.run_id


def aside(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.damaged-*Z"))


def serves_anew(client: RawClient, path: Path) -> Path:
    """A server on a new registry, which tells where the damaged one is."""
    greet(client)
    [kept] = aside(path)
    health = call(client, "queue_health")
    assert (health["status"], health["kept_aside"]) == ("healthy", [str(kept)])
    assert "kept aside" in health["note"]
    jobs = call(client, "queue_list_jobs")["jobs"]
    assert jobs == []
    job_id = call(client, "add", a=2, b=3)["job_id"]
    answer = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=GUARD)
    assert answer["jobs"][0]["result"] == 5
    assert "Traceback" not in client.stderr
    return kept


def runs_of(path: Path) -> list[RunRow]:
    registry = Registry(str(path))
    try:
        return run_rows.all_runs(registry)
    finally:
        registry.close()


def log_of(registry: Path, run_id: str) -> list[str]:
    return Path(RegistryFolder(str(registry)).run(run_id).stdout).read_text().splitlines()


async def test_row_30_truncated(server: Setup, persistent: Settings, path: Path) -> None:
    run_id = await make(persistent)
    truncate(path)
    before = path.read_bytes()
    with RawClient(server.command) as client:
        kept = serves_anew(client, path)
        assert f"{path} was damaged" in client.stderr
        assert str(kept) in client.stderr
    assert kept.read_bytes() == before
    assert log_of(kept, run_id)[0] == "line from Python"
    await invariants.serves(persistent)


async def test_row_30_damaged_in_part(server: Setup, persistent: Settings, path: Path) -> None:
    """Who meets the damage says what to do; the next server keeps the file aside."""
    run_id = await make(persistent)
    spoil_jobs(path)
    with RawClient(server.command) as client:
        greet(client)
        error = refused(client, "queue_list_jobs")
        assert error["code"] == "registry_error"
        assert f"{path} is damaged" in error["message"]
        assert "Restart" in error["hint"]
    assert aside(path) == []
    with RawClient(server.command) as client:
        kept = serves_anew(client, path)
    assert log_of(kept, run_id)[0] == "line from Python"
    with RawClient(server.command) as client:
        greet(client)
        assert [job["command"] for job in call(client, "queue_list_jobs")["jobs"]] == ["add"]
    assert len(aside(path)) == 1


async def test_row_30_many_servers_find_the_damage_at_once(
    server: Setup, persistent: Settings, path: Path
) -> None:
    await make(persistent)
    truncate(path)
    clients = [RawClient(server.command) for _ in range(4)]
    try:
        for client in clients:
            greet(client)
        ids = [call(client, "add", a=2, b=3)["job_id"] for client in clients]
        answer = call(clients[0], "queue_wait_job", job_ids=ids, timeout_seconds=GUARD)
        assert [job["result"] for job in answer["jobs"]] == [5] * len(clients)
        assert len(aside(path)) == 1
    finally:
        for client in clients:
            client.close()
    assert sum("was damaged" in client.stderr for client in clients) == 1


@pytest.mark.parametrize("damage", [spoil_jobs, spoil_schema])
async def test_row_30_not_while_another_server_has_it_open(
    server: Setup, persistent: Settings, path: Path, damage: Callable[[Path], None]
) -> None:
    await make(persistent)
    with RawClient(server.command) as first:
        greet(first)
        damage(path)
        with RawClient(server.command) as second:
            if damage is spoil_schema:
                assert second.wait() == 1
                assert "another server has it open" in second.stderr
                assert "Close every client" in second.stderr
                assert "Traceback" not in second.stderr
            else:
                greet(second)
                assert "is damaged" in refused(second, "queue_list_jobs")["message"]
                assert second.request("ping")["result"] == {}
        assert aside(path) == []
        assert first.request("ping")["result"] == {}
    with RawClient(server.command) as third:
        serves_anew(third, path)


async def test_row_30_not_while_its_supervisor_sees_to_a_job(
    server: Setup, persistent: Settings, path: Path, lines: Lifelines
) -> None:
    with RawClient(server.command) as first:
        greet(first)
        call(first, "gated", port=lines.port, answer="kept")
        lines.take()
    spoil_schema(path)
    with RawClient(server.command) as second:
        assert second.wait() == 1
    assert "its supervisor still sees to jobs" in second.stderr
    assert "Start again when they have ended" in second.stderr
    assert aside(path) == []
    assert lines.living() == 1
    lines.let_go()
    await invariants.becomes(lambda: not invariants.workers(), "a worker")
    with RawClient(server.command) as third:
        kept = serves_anew(third, path)
    [run_id] = os.listdir(RegistryFolder(str(kept)).runs)
    assert log_of(kept, run_id) == ["at the gate", "through the gate"]
    said = events.read(RegistryFolder(str(kept)).run(run_id).events, 0)[0]
    assert [event["result"] for event in said if event["e"] == events.OUTCOME] == ['"kept"']


async def test_row_30_not_while_a_job_of_it_runs(
    server: Setup, persistent: Settings, path: Path, lines: Lifelines
) -> None:
    """Its supervisor is dead, too, so nobody sees to it; it is left to its work all the same."""
    with RawClient(server.command) as first:
        greet(first)
        call(first, "gated", port=lines.port)
        lines.take()
        registry = Registry(str(path))
        supervisor = member_rows.supervisor(registry)
        [run] = run_rows.all_runs(registry)
        registry.close()
        assert supervisor is not None
        first.kill()
        first.wait()
    os.kill(pid_of(supervisor.identity), signal.SIGKILL)
    assert run.identity is not None
    spoil_schema(path)
    with RawClient(server.command) as second:
        assert second.wait() == 1
    assert f"still run, as process {pid_of(run.identity)}" in second.stderr
    assert aside(path) == []
    assert lines.living() == 1
    lines.let_go()
    await invariants.becomes(lambda: not invariants.workers(), "a worker")
    with RawClient(server.command) as third:
        kept = serves_anew(third, path)
    assert log_of(kept, run.run_id) == ["at the gate", "through the gate"]


async def test_row_30_an_idle_supervisor_leaves_what_is_damaged(
    persistent: Settings, path: Path
) -> None:
    async with await QueueManager.open(persistent) as queue:
        await queues.run(queue, "add", a=2, b=3)
        await queues.supervisor_pid(queue)
        registry = Registry(str(path))
        supervisor = member_rows.supervisor(registry)
        registry.close()
        assert supervisor is not None
        watching = watch(supervisor.identity)
        assert watching is not None
        await invariants.becomes(lambda: runs_of(path) == [], "the run of a job that has ended")
        spoil_jobs(path)
        registry = Registry(str(path))
        registry.execute("UPDATE counter SET value = value + 1")  # so that nobody trusts a cache
        with pytest.raises(RegistryDamagedError):
            registry.rows("SELECT * FROM jobs")
        registry.close()
        bell.ring(RegistryFolder(str(path)).bell)
        assert select.select([watching], [], [], GUARD)[0]
        watching.close()
    await invariants.serves(persistent)
    assert len(aside(path)) == 1
