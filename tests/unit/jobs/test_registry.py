"""The registry file: what is made, who may read it, what is refused, what a transaction keeps."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from mcp_queue.errors import RegistryBusyError, RegistryError
from mcp_queue.jobs import job_rows, schema, setting_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import APPLICATION_ID, Registry
from mcp_queue.jobs.shared_settings import SharedSettings
from support.guards import GUARD
from support.rows import add

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")


def test_a_missing_file_and_its_folder_are_made(path: str) -> None:
    registry = Registry(path)
    assert registry.value("PRAGMA application_id") == APPLICATION_ID
    assert registry.value("PRAGMA user_version") == schema.VERSION
    assert registry.value("PRAGMA journal_mode") == "wal"
    assert job_rows.totals(registry) == dict.fromkeys(
        ("pending", "running", "completed", "failed", "stopped", "deleted"), 0
    )
    registry.close()


def test_what_is_written_is_there_for_the_next_connection(path: str) -> None:
    first = Registry(path)
    add(first, "job")
    first.close()
    second = Registry(path)
    assert job_rows.get(second, "job").status == "pending"
    second.close()


def test_an_empty_file_becomes_a_registry(path: str) -> None:
    Path(path).parent.mkdir()
    Path(path).touch()
    Registry(path).close()
    Registry(path).close()


@posix
def test_only_the_owner_may_look(path: str) -> None:
    old = os.umask(0)
    try:
        registry = Registry(path)
        add(registry, "job")
        folder = RegistryFolder(path)
        folder.make()
        found = {
            str(each.relative_to(Path(path).parent)): stat.S_IMODE(each.stat().st_mode)
            for each in Path(path).parent.rglob("*")
        }
        registry.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    assert found == {
        "registry.db": 0o600,
        "registry.db-wal": 0o600,
        "registry.db-shm": 0o600,
        "registry.db.d": 0o700,
        "registry.db.d/runs": 0o700,
        "registry.db.d/bells": 0o700,
    }


def _refused(path: str) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        Registry(path)
    error = caught.value
    assert path in error.message
    assert error.hint
    assert error.code == "registry_error"
    return error


@pytest.mark.parametrize("wal", [False, True])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: str, wal: bool) -> None:
    Path(path).parent.mkdir()
    other = sqlite3.connect(path)
    if wal:
        other.execute("PRAGMA journal_mode = wal")
    other.execute("CREATE TABLE theirs (value)")
    other.execute("INSERT INTO theirs VALUES (1)")
    other.commit()
    other.close()
    before = Path(path).read_bytes()
    assert "another program" in _refused(path).message
    assert Path(path).read_bytes() == before


def test_a_database_of_another_application_is_refused(path: str) -> None:
    Path(path).parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 7")
    other.execute("PRAGMA user_version = 1")
    other.close()
    before = Path(path).read_bytes()
    assert "another program" in _refused(path).message
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b'{"job_id": "1"}\n' * 100, b"short", os.urandom(8192)],
    ids=["json lines", "short text", "binary"],
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: str, content: bytes) -> None:
    Path(path).parent.mkdir()
    Path(path).write_bytes(content)
    error = _refused(path)
    assert "not an SQLite database" in error.message
    assert "registry_path" in error.hint
    assert Path(path).read_bytes() == content


def test_a_newer_version_is_refused(path: str) -> None:
    registry = Registry(path)
    registry.connection.pragma("user_version", schema.VERSION + 1)
    registry.close()
    error = _refused(path)
    assert f"version {schema.VERSION + 1}" in error.message
    assert "newer mcp-queue" in error.hint


def test_a_damaged_file_is_refused_and_left_as_it_is(path: str) -> None:
    registry = Registry(path)
    add(registry, *(f"job-{n}" for n in range(200)))
    registry.connection.pragma("wal_checkpoint", "truncate")
    registry.close()
    content = bytearray(Path(path).read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    Path(path).write_bytes(content)
    assert "damaged" in _refused(path).message
    assert Path(path).read_bytes() == bytes(content)


def test_a_folder_is_refused(path: str) -> None:
    Path(path).mkdir(parents=True)
    assert "folder" in _refused(path).message


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be" in _refused(str(tmp_path / "file" / "registry.db")).message


AS_NOBODY = """
import os, sys
from mcp_queue.errors import RegistryError
from mcp_queue.jobs import job_rows
from mcp_queue.jobs.registry import Registry
from support.rows import new_job
if os.geteuid() == 0:  # root may write everywhere
    os.setgid(65534)
    os.setuid(65534)
try:
    job_rows.add(Registry(sys.argv[1]), new_job("job"))
except RegistryError as error:
    print(error.message, error.hint)
"""


@posix
@pytest.mark.parametrize("made", [False, True], ids=["folder", "file"])
def test_without_the_right_to_write_it_says_so(
    made: bool, user_environment: dict[str, str]
) -> None:
    # Not below tmp_path, whose parents are closed to others.
    root = Path(os.path.realpath("/tmp"), f"readable-{os.getpid()}")
    folder = root / "data"
    folder.mkdir(parents=True)
    path = folder / "registry.db"
    try:
        if made:
            Registry(str(path)).close()
            path.chmod(0o444)
        folder.chmod(0o555)
        root.chmod(0o755)
        env = {**user_environment, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(path)],
            capture_output=True, text=True, env=env, check=False,
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
        shutil.rmtree(root)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert ("another user (uid 0) owns it" if made else "permissions") in done.stdout


def test_a_transaction_is_kept_whole_or_not_at_all(registry: Registry) -> None:
    def fail() -> None:
        with registry.transaction():
            registry.next("rev")
            registry.execute("INSERT INTO settings VALUES (1, 'text')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert registry.value("SELECT value FROM counter WHERE name = 'rev'") == 0
    assert setting_rows.in_force(registry) == SharedSettings()
    add(registry, "after")  # the connection is not stuck in a transaction


def test_a_reader_sees_nothing_of_an_open_transaction(registry: Registry, path: str) -> None:
    reader = Registry(path)
    with registry.transaction():
        registry.execute("INSERT INTO settings VALUES (1, '{}')")
        assert reader.value("SELECT count(*) FROM settings") == 0
    assert reader.value("SELECT count(*) FROM settings") == 1
    reader.close()


def test_a_write_that_waits_too_long_says_busy_and_changes_nothing(
    registry: Registry, path: str
) -> None:
    other = Registry(path, busy_timeout=0.05)
    with registry.transaction():
        with pytest.raises(RegistryBusyError) as caught:
            add(other, "late")
        assert path in caught.value.message
        assert job_rows.totals(other)["pending"] == 0  # reads go on
    add(other, "late")
    assert job_rows.get(registry, "late").status == "pending"
    other.close()


def test_a_write_waits_for_another_one(registry: Registry, path: str) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        other = Registry(path)
        with other.transaction():
            inside.set()
            leave.wait(30)
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(30)
    threading.Timer(0.1, leave.set).start()
    add(registry, "patient")
    thread.join()


def test_a_full_disk_is_a_clear_error_of_an_add(registry: Registry) -> None:
    pages = registry.value("PRAGMA page_count")
    registry.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RegistryError, match="cannot be written") as caught:
        add(registry, *(f"job-{n}" for n in range(1000)))
    assert "room on the disk" in caught.value.hint
    assert isinstance(caught.value.__cause__, apsw.FullError)
    registry.execute("PRAGMA max_page_count = 100000")
    add(registry, "after")


def test_statuses_that_do_not_exist_are_refused_by_the_file(registry: Registry) -> None:
    add(registry, "job")
    with pytest.raises(apsw.ConstraintError):
        registry.execute("UPDATE jobs SET status = 'lost'")
    with pytest.raises(apsw.ConstraintError):
        registry.execute("UPDATE jobs SET status = 'completed'")  # without an end time
    with pytest.raises(apsw.ConstraintError):
        registry.execute("UPDATE jobs SET progress = 101")


CREATE = """
import sys
from mcp_queue.jobs import job_rows
from mcp_queue.jobs.registry import Registry
from support.rows import new_job
print("ready", flush=True)
sys.stdin.readline()
registry = Registry(sys.argv[1])
job_rows.add(registry, new_job(sys.argv[2]))
registry.close()
"""


def _maker(path: str, job_id: str, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CREATE, path, job_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True,
    )  # fmt: skip


def test_processes_that_make_the_same_registry_at_once_all_succeed(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for turn in range(5):
        path = str(tmp_path / f"{turn}" / "registry.db")
        makers = [_maker(path, f"job-{n}", env) for n in range(4)]
        for maker in makers:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "ready\n"
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.write("\n")
            maker.stdin.flush()
        errors = [maker.communicate(timeout=GUARD)[1] for maker in makers]
        assert [maker.returncode for maker in makers] == [0] * len(makers), errors
        registry = Registry(path)
        assert job_rows.totals(registry)["pending"] == len(makers)
        registry.close()
