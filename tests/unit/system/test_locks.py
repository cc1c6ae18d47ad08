"""The lock of a supervisor: one holder, and the kernel releases it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_queue.system.locks import FileLock, is_held

if TYPE_CHECKING:
    from pathlib import Path

HOLD = (
    "import sys\nfrom mcp_queue.system.locks import FileLock\n"
    "lock = FileLock(sys.argv[1])\nprint(lock.try_acquire(), flush=True)\ninput()"
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def test_it_is_held_by_one_until_given_back(path: str) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.try_acquire()
    assert not other.try_acquire()
    one.release()
    one.release()
    assert other.try_acquire()
    other.release()


def test_a_holder_that_is_killed_holds_it_no_more(path: str) -> None:
    lock = FileLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert not lock.try_acquire()
        holder.kill()
    assert lock.try_acquire()
    lock.release()


def test_who_asks_takes_nothing(path: str) -> None:
    lock = FileLock(path)
    assert not is_held(path)  # nor makes the file
    assert lock.try_acquire()
    assert is_held(path)
    assert is_held(path)
    lock.release()
    assert not is_held(path)
    assert lock.try_acquire()
    lock.release()


def test_a_child_of_the_holder_does_not_hold_it(path: str) -> None:
    lock = FileLock(path)
    assert lock.try_acquire()
    with subprocess.Popen(["sleep", "600"], close_fds=False) as child:
        lock.release()
        assert lock.try_acquire()
        lock.release()
        child.kill()


def test_a_file_that_a_dead_holder_left_is_no_lock(path: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("12345")
    lock = FileLock(path)
    assert lock.try_acquire()
    lock.release()
    assert (tmp_path / "lock").read_text() == "12345"
