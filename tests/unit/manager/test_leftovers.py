"""The folders of in-memory registries whose owners were killed go at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.manager import leftovers
from mcp_queue.system.identity import identity_of
from mcp_queue.system.locks import FileLock
from mcp_queue.system.marks import MARK


@pytest.fixture
def dead() -> str:
    """The identity of a process that is dead."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = identity_of(process.pid)
        process.kill()
    assert identity is not None
    return identity


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_by(owner: str) -> Path:
    folder = Path(leftovers.make_temporary_folder())
    (folder / leftovers.OWNER).write_text(owner, "utf-8")
    RegistryFolder(str(folder / leftovers.REGISTRY)).make()
    return folder


def test_a_dead_owner_s_folder_goes(temporary: Path, dead: str) -> None:
    folder = left_by(dead)
    leftovers.clean()
    assert not folder.exists()


def test_what_lives_or_is_not_ours_stays(temporary: Path, dead: str) -> None:
    own = Path(leftovers.make_temporary_folder())
    locked = left_by(dead)
    lock = FileLock(RegistryFolder(str(locked / leftovers.REGISTRY)).lock)
    assert lock.try_acquire()
    other_name = temporary / "other"
    other_name.mkdir()
    (other_name / leftovers.OWNER).write_text(dead, "utf-8")
    no_owner = temporary / f"{leftovers.PREFIX}empty"
    no_owner.mkdir()
    nonsense = left_by("nonsense")
    link = temporary / f"{leftovers.PREFIX}link"
    link.symlink_to(other_name)
    try:
        leftovers.clean()
        for folder in (own, locked, other_name, no_owner, nonsense, link):
            assert folder.exists(), folder
    finally:
        lock.release()


@pytest.mark.skipif(sys.platform == "win32", reason="the mark is read from /proc or by psutil")
def test_what_its_runs_started_is_killed(temporary: Path, dead: str) -> None:
    folder = left_by(dead)
    run = Path(RegistryFolder(str(folder / leftovers.REGISTRY)).runs) / "0123abcd"
    run.mkdir()
    environment = {**os.environ, MARK: run.name}
    with subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); input()"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        leftovers.clean()
        assert process.wait(30) < 0
    assert not folder.exists()
