"""What another user of this machine owns, may change, or swaps, of a registry or of its key."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import support.job_commands  # noqa: F401 (registers the commands)
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.errors import KeyFileError, RegistryError, RegistryUntrustedError
from mcp_queue.jobs import seals
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import job_calls, key_file
from mcp_queue.system import crash, ours
from support import harm, invariants, queues
from support.guards import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet, refused
from support.second_user import (
    give_away,
    needs_second_user,
    open_way,
    run_as_second_user,
)  # fmt: skip

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from support.serving import Setup

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes and no fifos")


@pytest.fixture
def path(persistent: Settings) -> Path:
    """A registry of ours."""
    path = Path(invariants.settings_path(persistent))
    registry = Registry(str(path))
    RegistryFolder(str(path)).make()
    registry.close()
    for suffix in ("-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").touch(mode=0o600)
    return path


PARTS = ("", "-wal", "-shm", "-journal", ".d", ".d/runs", ".d/bells")
LATER = (".d/supervisor.lock", ".d/supervisor.log")
"""Parts that a server does not open before it needs a supervisor."""


def part_of(path: Path, name: str) -> Path:
    part = Path(f"{path}{name}")
    if name in LATER:
        part.touch(mode=0o600)
    return part


def check_refused(server: Setup, name: str, *words: str) -> None:
    """The server that is started, or the start of its supervisor, says why it does not use it."""
    with RawClient(server.command) as client:
        if name in LATER:
            greet(client)
            job = client.request("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
            job_id = job["result"]["structuredContent"]["job_id"]
            said = refused(client, "queue_wait_job", job_ids=[job_id])["message"]
        else:
            assert client.wait() != 0
            said = client.stderr
    for word in words:
        assert word in said, said


@needs_second_user
@pytest.mark.parametrize("name", [*PARTS, *LATER])
def test_row_51_what_another_user_owns_is_refused(server: Setup, path: Path, name: str) -> None:
    part = part_of(path, name)
    os.chown(part, 60_606, 60_606)
    check_refused(server, name, "another user (uid 60606) owns it")


@posix
@pytest.mark.parametrize("mode", [0o020, 0o002], ids=["group", "all"])
@pytest.mark.parametrize("name", [*PARTS, *LATER])
def test_row_51_what_others_may_change_is_refused(
    server: Setup, path: Path, name: str, mode: int
) -> None:
    part = part_of(path, name)
    if mode == 0o020:
        os.chown(part, -1, 60_606)
    part.chmod(part.stat().st_mode | mode)
    if mode == 0o020 and os.geteuid() != 0:
        pytest.skip("only root gives a file to a group that it is not in")
    check_refused(server, name, "other users may write to it")


@needs_second_user
@pytest.mark.parametrize("above", [1, 2])
@pytest.mark.parametrize("how", ["owned", "open", "open to a group", "sticky and owned"])
def test_row_51_a_folder_on_the_way_that_another_user_may_change_is_refused(
    server: Setup, path: Path, how: str, above: int
) -> None:
    folder = path.parents[above - 1]
    status = folder.stat()
    try:
        if "owned" in how:
            os.chown(folder, 60_606, 60_606)
        if how == "open":
            folder.chmod(0o777)
        if how == "open to a group":
            os.chown(folder, -1, 60_606)
            folder.chmod(0o770)
        if "sticky" in how:
            folder.chmod(0o1777)
        check_refused(server, "", "another user" if "owned" in how else "other users", str(folder))
    finally:
        os.chown(folder, status.st_uid, status.st_gid)
        folder.chmod(stat.S_IMODE(status.st_mode))


@posix
def test_row_51_ordinary_ways_are_taken(path: Path, tmp_path: Path) -> None:
    """Below a sticky folder, in one that all may read, by a link of one's own from elsewhere."""
    path.parent.parent.chmod(0o1777)
    Registry(str(path)).close()
    path.parent.parent.chmod(0o700)
    path.parent.chmod(0o755)
    Registry(str(path)).close()
    (tmp_path / "mine").symlink_to(path)
    Registry(str(tmp_path / "mine")).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("name", ["registry.db", "new.db"])
def test_row_51_a_file_in_a_folder_that_is_shared_is_refused(path: Path, name: str) -> None:
    """Others could lay a journal beside it between our look and SQLite's."""
    path.parent.chmod(0o1777)
    with pytest.raises(RegistryUntrustedError, match="may write to it") as refused:
        Registry(str(path.with_name(name)))
    assert f"mkdir -m 700 {path.parent}/mine" in refused.value.hint
    assert f"{path.parent}/mine/{name}" in refused.value.hint
    assert "chmod" not in refused.value.hint
    path.parent.joinpath("mine").mkdir(0o700)
    Registry(str(path.parent / "mine" / name)).close()


@needs_second_user
def test_row_51_nobody_is_told_to_adopt_what_another_laid_beside_it(path: Path) -> None:
    give_away(Path(f"{path}-journal"))
    with pytest.raises(RegistryUntrustedError) as refused:
        Registry(str(path))
    assert "Remove it if you know what it is" in refused.value.hint
    assert "is yours indeed" not in refused.value.hint


@posix
@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/x/registry.db"])
def test_row_51_nobody_is_told_to_change_a_device(place: str) -> None:
    with pytest.raises(RegistryError, match=r"it is no plain file|Not a directory") as refused:
        Registry(place)
    assert "hoose another registry_path" in refused.value.hint
    assert "chmod" not in refused.value.hint


@posix
def test_row_51_who_left_a_folder_open_is_told_to_close_it(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(RegistryUntrustedError) as refused:
        Registry(str(path))
    assert f"`chmod go-w {path.parent}`" in refused.value.hint


@needs_second_user
def test_row_51_a_folder_that_another_user_makes_first_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a sticky folder, between our look and the making of ours."""
    make = ours.make_folder

    def late(folder: str) -> None:
        first = Path(folder).parent
        first.mkdir()
        give_away(first)
        make(folder)

    monkeypatch.setattr(ours, "make_folder", late)
    with pytest.raises(RegistryUntrustedError, match="another user"):
        Registry(str(tmp_path / "a" / "b" / "registry.db"))
    assert not (tmp_path / "a" / "b" / "registry.db").exists()


@posix
def test_row_51_what_others_may_read_is_closed_to_them(path: Path) -> None:
    folder = RegistryFolder(str(path))
    path.chmod(0o644)
    Path(folder.path).chmod(0o755)
    Registry(str(path)).close()
    folder.make()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700


@needs_second_user
def test_row_51_nobody_else_uses_a_registry_of_ours(path: Path) -> None:
    open_way(path.parent)
    path.chmod(0o666)
    program = """
import sys
from mcp_queue.jobs.registry import Registry
try:
    Registry(sys.argv[1])
except Exception as error:
    print(error)
"""
    done = run_as_second_user(program, str(path))
    assert "another user (uid 0) owns it" in done.stdout, done


SWAP = """
import os, sys
runs, traces = sys.argv[1:]
[name] = os.listdir(runs)
os.rename(os.path.join(runs, name), os.path.join(runs, "gone"))
os.mkdir(os.path.join(runs, name), 0o777)
if traces == "link":
    os.rmdir(os.path.join(runs, name))
    os.symlink(os.path.join(runs, "gone"), os.path.join(runs, name))
else:
    with open(os.path.join(runs, name, "job.json"), "w") as file:
        file.write(traces)
"""


@needs_second_user
@pytest.mark.parametrize("how", ["folder", "link"])
async def test_row_51_a_folder_of_a_run_that_is_swapped_before_the_gate_opens(
    server: Setup, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    traces, notes = tmp_path / "traces", tmp_path / "notes"
    params = {"path": str(traces), "line": "ran"}
    job = {
        "v": 1, "job_id": "x", "run_id": "x", "attempt": 1, "command": "note", "params": params,
        "call": json.loads(job_calls.of_command(catalog.get("note"), params, None).call),
        "context": None, "sys_path": sys.path, "bell": str(tmp_path / "bell"),
        "dies_with_supervisor": False,
    }  # fmt: skip
    folder = RegistryFolder(str(path))
    monkeypatch.setenv(crash.POINT, "spawn.after_record")
    monkeypatch.setenv(crash.SIGNAL, str(int(signal.SIGSTOP)))
    monkeypatch.setenv(crash.ONCE, str(tmp_path / "stopped"))
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "note", path=str(notes), line="ran")["job_id"]
        await queues.becomes_true((tmp_path / "stopped").exists)
        [supervisor] = harm.supervisors_of(str(path))
        await queues.becomes_true(lambda: supervisor.status() == "stopped")
        open_way(Path(folder.runs))
        os.chmod(folder.path, 0o711)
        os.chmod(folder.runs, 0o777)  # however that came
        text = "link" if how == "link" else json.dumps(job)
        done = run_as_second_user(SWAP, folder.runs, text)
        assert done.returncode == 0, done.stderr
        os.chmod(folder.runs, 0o700)
        supervisor.resume()
        view = call(client, "queue_wait_job", job_ids=[job_id])["jobs"][0]
        assert "was replaced" in view["error"]["message"]
    assert not traces.exists()
    assert not notes.exists()
    queues.clear(str(path))


# ---------------------------------------------------------------- the key


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_row_51_a_key_that_others_may_read_or_change_is_refused(
    server: Setup, mode: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "own key"
    monkeypatch.setenv(key_file.VARIABLE, str(file))
    seals.read_key(str(file))
    file.chmod(mode)
    with RawClient(server.command) as client:
        greet(client)
        error = refused(client, "add", a=1, b=2)
        assert error["code"] == "key_unusable"
        health = call(client, "queue_health")
        assert health["status"] == "degraded"
        assert f"No new job is taken. {error['message']}" in health["problem"]
        assert str(file) in error["message"]
        file.chmod(0o600)
        job_id = call(client, "add", a=1, b=2)["job_id"]
        assert call(client, "queue_wait_job", job_ids=[job_id])["jobs"][0]["result"] == 3
    queues.clear(server.settings["registry_path"])


@posix
@pytest.mark.parametrize("how", ["a link", "short", "one byte", "a folder", "another's"])
def test_row_51_a_key_that_is_none_is_refused(tmp_path: Path, how: str) -> None:
    file = tmp_path / "key"
    if how == "a link":
        seals.read_key(str(tmp_path / "elsewhere"))
        file.symlink_to(tmp_path / "elsewhere")
    elif how == "short":
        file.write_bytes(b"x")
        file.chmod(0o600)
    elif how == "one byte":
        file.write_bytes(bytes(seals.SIZE))
        file.chmod(0o600)
    elif how == "a folder":
        file.mkdir()
    else:
        seals.read_key(str(file))
        if os.geteuid() != 0:
            pytest.skip("only root gives a file away")
        give_away(file)
    with pytest.raises(KeyFileError, match="key") as refused:
        seals.read_key(str(file))
    assert "Mend or remove it" in refused.value.hint


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_row_51_a_key_in_a_folder_that_is_shared_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(KeyFileError, match="may write to it") as refused:
        seals.read_key(str(folder / "key"))
    assert "MCP_QUEUE_KEY_FILE" in refused.value.hint
    assert not (folder / "key").exists()
    folder.chmod(0o1777)
    seals.read_key(str(folder / "mine" / "key"))


@needs_second_user
def test_row_51_a_key_that_cannot_be_made_asks_for_another_folder() -> None:
    program = """
import sys
from mcp_queue.jobs import seals
try:
    seals.read_key(sys.argv[1])
except Exception as error:
    print(error.text)
"""
    done = run_as_second_user(program, "/usr/key")
    assert "Permission denied. Make /usr a folder in which you can make files" in done.stdout
    assert "MCP_QUEUE_KEY_FILE" in done.stdout
    assert "Mend" not in done.stdout


def test_row_51_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "made" / "key"
    found: list[bytes] = []
    starting = threading.Barrier(8)

    def read() -> None:
        starting.wait(GUARD)
        found.append(seals.read_key(str(file)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == seals.SIZE
    assert [each.name for each in file.parent.iterdir()] == ["key"]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_row_51_servers_with_two_keys_do_not_run_each_others_jobs(
    server: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in containers that share a volume; with one key of theirs they do."""
    with RawClient(server.command) as one:
        greet(one)
        first = call(one, "add", a=1, b=2)["job_id"]
        assert call(one, "queue_wait_job", job_ids=[first])["jobs"][0]["result"] == 3
        environment = {key_file.VARIABLE: str(tmp_path / "another")}
        with RawClient(server.command, env=environment) as other:
            greet(other)
            job_id = call(other, "add", a=1, b=2)["job_id"]
            view = call(other, "queue_wait_job", job_ids=[job_id])["jobs"][0]
            assert view["error"]["code"] == seals.UNTRUSTED
            for words in ("by an older version, by another user, or with another key", "again"):
                assert words in view["error"]["message"]
            assert key_file.VARIABLE in view["error"]["message"]
            assert key_file.path(None) in view["error"]["message"]
    queues.clear(server.settings["registry_path"])
