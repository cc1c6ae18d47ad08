"""Files that are missing, damaged or left over; names, messages and users that mean harm."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import urllib.parse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from mcp_queue.errors import RegistryError
from mcp_queue.jobs import schema
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from support import disks, harm, invariants, queues, scenes
from support.processes import sleeper
from support.queues import supervisor_pid
from support.rawclient import RawClient
from support.scenes import call, greet, refused
from support.web import WebServer, fetch, modern

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.serving import Setup

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes and no fifos")


async def make_registry(persistent: Settings) -> Path:
    """A registry with a job in it that has ended, nobody using it."""
    async with scenes.scene(persistent) as scene:
        await scene.run("add", a=2, b=3)
    return Path(invariants.settings_path(persistent))


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def make_newer(path: Path) -> None:
    registry = Registry(str(path))
    registry.connection.pragma("user_version", schema.VERSION + 1)
    registry.close()


def make_newer_and_damage(path: Path) -> None:
    make_newer(path)
    os.truncate(path, path.stat().st_size // 2)


def put_a_damaged_database_in_its_place(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (value)")
    other.execute("INSERT INTO theirs VALUES (?)", ("x" * 10_000,))
    other.commit()
    other.close()
    os.truncate(path, path.stat().st_size // 2)


def put_another_in_its_place(path: Path) -> None:
    path.write_text('{"job_id": "1"}\n' * 100, "utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (make_newer, "version"),
        (make_newer_and_damage, "newer version"),
        (put_another_in_its_place, "not an SQLite database"),
        (put_a_damaged_database_in_its_place, "no registry"),
    ],
)
async def test_row_30_unusable_registry(
    server: Setup, persistent: Settings, damage: Callable[[Path], None], message: str
) -> None:
    """Refused with what to do, and left as it is; with another file the server serves again."""
    path = await make_registry(persistent)
    damage(path)
    before = path.read_bytes()
    with RawClient(server.command) as client:
        assert client.wait() == 1
    assert message in client.stderr
    assert str(path) in client.stderr
    assert "Traceback" not in client.stderr
    assert path.read_bytes() == before
    await invariants.serves(replace(persistent, registry_path=str(path.with_name("other.db"))))
    queues.clear(str(path.with_name("other.db")))


async def test_row_30_damaged_while_in_use(
    server: Setup, persistent: Settings, tmp_path: Path
) -> None:
    path = await make_registry(persistent)
    with RawClient(server.command) as client:
        greet(client)
        call(client, "queue_list_jobs")
        scribble(path)
        for n in range(3):
            answer = client.request(
                "tools/call", {"name": "queue_list_jobs", "arguments": {"limit": n + 1}}
            )
            assert "result" in answer
        assert client.request("ping")["result"] == {}
    assert "Traceback" not in client.stderr


@pytest.mark.parametrize("gone", ["registry", "folder", "both"])
async def test_row_30_removed_while_in_use(
    server: Setup, persistent: Settings, lines: Lifelines, gone: str
) -> None:
    """No false success: what nobody would see is refused; whoever starts then finds all well."""
    path = Path(invariants.settings_path(persistent))
    kept: list[str] = []
    with RawClient(server.command) as client:
        greet(client)
        call(client, "gated", port=lines.port)
        lines.take()
        supervisor = call(client, "queue_health")["supervisor"]["pid"]
        if gone != "folder":
            path.unlink()
        if gone != "registry":
            shutil.rmtree(RegistryFolder(str(path)).path)
        error = refused(client, "add", a=2, b=3)
        assert error["code"] == "registry_error"
        assert "removed" in error["message"]
        assert "Restart" in error["hint"]
        if gone != "folder":
            with RawClient(server.command) as beside:  # as what was removed is still open
                greet(beside)
                kept.append(add_and_wait(beside))
    with RawClient(server.command) as successor:
        greet(successor)
        add_and_wait(successor)
        for job_id in kept:
            assert call(successor, "queue_get_job_status", job_id=job_id)["result"] == 5
        lines.let_go()
        await lines.end()
        if gone != "folder":
            await invariants.becomes(
                lambda: not psutil.pid_exists(supervisor), "the supervisor of what is gone"
            )
    await invariants.serves(persistent)
    queues.clear(str(path))


@posix
async def test_row_30_read_only(persistent: Settings, tmp_path: Path) -> None:
    with ExitStack() as stack:
        if disks.by_root():  # whom no mode stops
            disk = stack.enter_context(disks.small_disk(tmp_path))
            persistent = replace(persistent, registry_path=str(disk / "data" / "registry.db"))
        path = await make_registry(persistent)
        with disks.read_only(path.parent):
            with pytest.raises(RegistryError) as refusal:
                await QueueManager.open(persistent)
            assert "permissions" in refusal.value.hint
        await invariants.serves(persistent)
        queues.clear(str(path))


@posix
async def test_row_31_leftovers(server: Setup, witness: Witness, persistent: Settings) -> None:
    """What the dead left is no obstacle, and is cleaned: bells, a lock, a run's folder, rows."""
    folder = RegistryFolder(witness.path)
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "add", a=2, b=3)["job_id"]
        call(client, "queue_wait_job", job_ids=[job_id])
        witness.told(job_id)
        harm.kill_all(witness.path, more=[client.pid])
        client.wait()
    os.mkfifo(folder.server_bell("of-a-server-that-was-never-recorded"))
    os.unlink(folder.bell)
    Path(folder.bell).write_text("a copy of a fifo")
    Path(folder.lock).write_text("stale")
    os.mkdir(folder.run("stale").path)
    async with await QueueManager.open(persistent) as queue:
        assert (await queues.run(queue, "add", a=2, b=3)).result == 5
        bells = Path(folder.bells)
        await invariants.becomes(lambda: len(list(bells.iterdir())) == 2, "stale bells")
        assert stat.S_ISFIFO(os.stat(folder.bell).st_mode)
        assert not os.path.exists(folder.run("stale").path)
        assert (await queue.get_queue_health())["servers"] == 1


async def test_row_31_pid_of_another(witness: Witness, persistent: Settings) -> None:
    """The records say that a supervisor lives; its pid is a stranger's."""
    with sleeper() as stranger:
        registry = Registry(witness.path)
        registry.execute(
            "INSERT INTO supervisor VALUES (1, ?, '0', 0)",
            (harm.reused_identity(stranger.pid),),
        )
        registry.close()
        async with await QueueManager.open(persistent) as queue:
            assert (await queues.run(queue, "add", a=2, b=3)).result == 5
            assert await supervisor_pid(queue) != stranger.pid
        assert stranger.poll() is None


def add_and_wait(client: RawClient) -> str:
    job_id = call(client, "add", a=2, b=3)["job_id"]
    answer = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=120)
    assert answer["jobs"][0]["result"] == 5
    return job_id


HOSTILE = [
    "../../etc/passwd",
    "..",
    ".",
    "",
    "/etc/passwd",
    "%2e%2e",
    "%2e%2e%2fetc%2fpasswd",
    "a/../../b",
    "a\\..\\b",
    "nul\0byte",
    "line\nbreak",
    "x" * 10_240,
    "\u202egnp.exe",
    "\u00e4\u00f6\u00fc \U0001f4a5",
    "' OR 1=1 --",
    "-rf",
    "CON",
]


async def test_row_33_hostile_names(
    server: Setup, witness: Witness, persistent: Settings, tmp_path: Path
) -> None:
    with RawClient(server.command) as client:
        greet(client)
        call(client, "queue_health")
        before = {path for path in tmp_path.rglob("*") if "registry.db" not in str(path)}
        for name in HOSTILE:
            for tool in ("get_job_status", "get_job_logs", "start_job", "stop_job", "delete_job"):
                assert refused(client, f"queue_{tool}", job_id=name)["code"] == "job_not_found"
            waited = client.request(
                "tools/call", {"name": "queue_wait_job", "arguments": {"job_ids": [name]}}
            )
            assert waited["result"]["isError"]
            error = refused(client, "queue_add_job", command="add", params={}, job_id=name)
            assert error["code"] == "invalid_params"
            error = refused(client, "queue_add_job", command=name, params={})
            assert error["code"] == "command_not_found"
            for uri in uris(name):
                answer = client.request("resources/read", {"uri": uri})
                assert "error" in answer, (uri, answer)
            assert "error" in client.request("tools/call", {"name": name, "arguments": {}})
        assert call(client, "queue_list_jobs")["jobs"] == []
        after = {path for path in tmp_path.rglob("*") if "registry.db" not in str(path)}
    assert after == before
    assert "Traceback" not in client.stderr


def uris(name: str) -> list[str]:
    quoted = urllib.parse.quote(name, safe="")
    return [
        f"queue://jobs/{part}{tail}"
        for part in {name, quoted}
        for tail in ("", "/logs", "/logs/stdout", "/logs/../../x", "/result", "/artifacts/../x")
        if part + tail
    ]


@posix
async def test_row_34_owner_only(persistent: Settings, lines: Lifelines) -> None:
    old = os.umask(0)
    try:
        async with scenes.scene(persistent) as scene:
            job = await scene.submit("gated", port=lines.port, answer="x" * 100_000)
            await lines.arrive()
            top = Path(persistent.registry_path or "").parent
            modes = modes_of(top)
            lines.let_go()
            await scene.done(job)
            modes |= modes_of(top)
    finally:
        os.umask(old)
    assert {name for name in modes if name.endswith(("result.json", "stdout.log"))}
    folders = {mode for mode, is_folder in modes.values() if is_folder}
    files = {mode for mode, is_folder in modes.values() if not is_folder}
    assert (folders, files) == ({0o700}, {0o600}), modes


def modes_of(top: Path) -> dict[str, tuple[int, bool]]:
    found: dict[str, tuple[int, bool]] = {}
    for path in (top, *top.rglob("*")):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:  # it went as we looked
            continue
        found[str(path)] = stat.S_IMODE(mode), stat.S_ISDIR(mode)
    return found


def test_row_34_http_on_loopback_alone(server: Setup) -> None:
    foreign = {"Origin": "http://evil.example.com"}
    with WebServer(server.command) as web:
        assert web.listens() == [("127.0.0.1", web.port)]
        message, headers = modern("tools/call", name="queue_health", arguments={})
        assert "result" in fetch(web, message, headers=headers).message
        assert fetch(web, message, headers={**headers, **foreign}).status == 403
        assert fetch(web, message, headers={**headers, "Host": "evil.example.com"}).status == 421
    refused = subprocess.run(
        [*server.command, "--http", "0.0.0.0:0"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "loopback" in refused.stderr
