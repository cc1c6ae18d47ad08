"""What is damaged is kept aside, all of it or nothing, and what only cannot be read stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import apsw
import pytest

from mcp_queue import clock
from mcp_queue.errors import RegistryBusyError, RegistryDamagedError, RegistryError
from mcp_queue.jobs import damage, job_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from support.rows import add

JOBS = 200


@pytest.fixture
def made(path: str) -> str:
    """A registry with jobs and the file of a run, nobody using it."""
    registry = Registry(path)
    add(registry, *(f"job-{n}" for n in range(JOBS)))
    registry.close()
    folder = RegistryFolder(path)
    folder.make()
    os.mkdir(folder.run("run").path)
    Path(folder.run("run").stdout).write_text("said")
    return path


def spoil(path: str, offset: int, length: int) -> bytes:
    """What the file is then."""
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * length)
    return Path(path).read_bytes()


def root_of(path: str, name: str) -> int:
    """Where the first page of a table or an index is."""
    registry = Registry(path)
    page = registry.value("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
    registry.close()
    return 4096 * (page - 1)


def mark(path: str) -> Path:
    """The mark of somebody who met damage."""
    damaged = Path(RegistryFolder(path).damaged)
    damaged.touch()
    return damaged


def count(registry: Registry) -> int:
    found = job_rows.totals(registry)["pending"]
    registry.close()
    return found


@pytest.mark.parametrize(("offset", "length"), [(0, 60), (100, 3996)], ids=["magic", "schema"])
def test_one_of_ours_is_kept_and_a_new_one_begins(made: str, offset: int, length: int) -> None:
    content = spoil(made, offset, length)
    registry = damage.open_or_begin_anew(made)
    assert count(registry) == 0
    [kept] = damage.kept_aside(made)
    assert Path(kept).read_bytes() == content
    assert Path(RegistryFolder(kept).run("run").stdout).read_text() == "said"
    assert not os.path.exists(RegistryFolder(made).damaged)
    assert count(damage.open_or_begin_anew(made)) == 0
    assert damage.kept_aside(made) == [kept]


def test_what_is_marked_and_sound_stays(made: str) -> None:
    marked = mark(made)
    assert count(damage.open_or_begin_anew(made)) == JOBS
    assert damage.kept_aside(made) == []
    assert not marked.exists()


def test_a_report_is_confirmed_or_forgotten(made: str) -> None:
    marked = mark(made)
    damage.confirm(made)
    assert not marked.exists()
    content = spoil(made, root_of(made, "jobs_by_rev"), 4096)
    with pytest.raises(RegistryDamagedError, match="damaged"):
        damage.confirm(made)
    assert Path(made).read_bytes() == content
    assert damage.kept_aside(made) == []


def test_an_index_that_lost_a_job_is_damage(made: str) -> None:
    spoil(made, root_of(made, "jobs_by_rev"), 4096)
    registry = Registry(made)
    with pytest.raises(RegistryDamagedError, match="malformed"):
        job_rows.changed_since(registry, 0, 10)
    registry.close()
    assert os.path.exists(RegistryFolder(made).damaged)
    assert count(damage.open_or_begin_anew(made)) == 0


class _NoDisk(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if offset in _NoDiskVFS.broken:
            raise apsw.IOError("the disk fails")
        return super().xRead(amount, offset)


class _NoDiskVFS(apsw.VFS):
    broken = range(0)  # offsets that cannot be read

    def __init__(self) -> None:
        super().__init__("no disk", "unix", makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802
        return _NoDisk(name, flags)


@pytest.fixture
def failing_disk() -> Iterator[type[_NoDiskVFS]]:
    vfs = _NoDiskVFS()
    yield _NoDiskVFS
    vfs.unregister()


def test_a_disk_that_fails_is_no_damage(made: str, failing_disk: type[_NoDiskVFS]) -> None:
    content = Path(made).read_bytes()
    marked = mark(made)
    place = root_of(made, "jobs")
    failing_disk.broken = range(place, place + 4096)
    damage.open_or_begin_anew(made).close()  # it serves as far as it can
    assert marked.exists()
    failing_disk.broken = range(1 << 30)
    with pytest.raises(RegistryError, match="cannot be"):
        damage.open_or_begin_anew(made)
    assert damage.kept_aside(made) == []
    assert Path(made).read_bytes() == content


def test_a_lock_is_no_damage(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mark(made)
    holder = apsw.Connection(made)
    holder.pragma("locking_mode", "exclusive")
    holder.execute("BEGIN IMMEDIATE; UPDATE counter SET value = 7; COMMIT")
    monkeypatch.setattr(damage, "Registry", partial(Registry, busy_timeout=0.01))
    with pytest.raises(RegistryBusyError):
        damage.open_or_begin_anew(made)
    holder.close()
    assert damage.kept_aside(made) == []
    assert count(damage.open_or_begin_anew(made)) == JOBS


def test_no_name_is_taken_twice(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "wall", lambda: 1e9)
    first = f"{made}.damaged-20010909T014640Z"
    Path(first).write_text("another's")
    Path(f"{first}-2.d").mkdir()
    content = spoil(made, 100, 3996)
    damage.open_or_begin_anew(made).close()
    assert Path(first).read_text() == "another's"
    assert Path(f"{first}-3").read_bytes() == content
    Path(f"{first}-3-wal").touch()
    assert damage.kept_aside(made) == [first, f"{first}-3"]


def test_a_move_that_fails_leaves_everything_in_place(
    made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = spoil(made, 100, 3996)
    rename = os.rename

    def fail(source: str, target: str) -> None:
        if source == made:
            raise PermissionError(13, "not now")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        with pytest.raises(RegistryDamagedError, match="cannot be kept aside: not now"):
            damage.open_or_begin_anew(made)
    assert Path(made).read_bytes() == content
    assert Path(RegistryFolder(made).run("run").stdout).read_text() == "said"
    assert not [name for name in os.listdir(os.path.dirname(made)) if "damaged-" in name]
    assert count(damage.open_or_begin_anew(made)) == 0


def test_what_stood_in_the_write_ahead_log_is_kept(made: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy" / "registry.db")
    os.mkdir(os.path.dirname(copy))
    registry = Registry(made)
    registry.connection.pragma("wal_checkpoint", "truncate")
    registry.execute("UPDATE counter SET value = 4711 WHERE name = 'start_order'")
    for suffix in ("", "-wal"):  # as a machine that goes down leaves it
        shutil.copy(made + suffix, copy + suffix)
    registry.close()
    spoil(copy, root_of(made, "jobs"), 4096)
    RegistryFolder(copy).make()
    mark(copy)
    assert count(damage.open_or_begin_anew(copy)) == 0
    [kept] = damage.kept_aside(copy)
    left = apsw.Connection(kept)
    query = "SELECT value FROM counter WHERE name = 'start_order'"
    assert left.execute(query).fetchall() == [(4711,)]
    left.close()


def test_a_death_between_the_move_and_the_new_file_does_no_harm(made: str) -> None:
    registry = Registry(made)
    add(registry, "in-the-log")
    wal = Path(f"{made}-wal").read_bytes()
    registry.close()
    os.rename(made, f"{made}.damaged-20010909T014640Z")
    Path(f"{made}-wal").write_bytes(wal)
    marked = mark(made)
    assert count(damage.open_or_begin_anew(made)) == 0
    assert not marked.exists()
