"""What carries output into logs: it outlives who started it, and is the last of a run to go.

Each case in a process of its own, since it becomes a subreaper.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's")

PRELUDE = """
import os, select, signal, sys
from mcp_queue.system import log_readers, marks, tree
tree.become_subreaper()
path = sys.argv[1]
os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 1)
def begin():
    read_end, write_end = log_readers.pipe()
    [pid] = log_readers.start([(read_end, 1)], (marks.MARK, "the-run"))
    os.close(read_end)
    assert tree.children_of(os.getpid()) == [pid]
    while is_shell(pid) or not log_readers.is_reader(pid):
        os.sched_yield()
    return pid, write_end
def is_shell(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return log_readers.NAME in file.read()
def stored():
    with open(path) as file:
        return file.read()
"""


def _run(code: str, path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", PRELUDE + code, str(path)], env=environment, check=True)


def test_what_is_in_the_pipe_is_stored_when_all_else_is_gone(tmp_path: Path) -> None:
    _run(
        """
pid, end = begin()
os.write(end, b"first ")
os.write(end, b"last")
os.close(end)
assert tree.kill_strays(set(), "the-run")
assert stored() == "first last"
tree.reap_strays(set())  # it may have ended by itself before
assert tree.children_of(os.getpid()) == []
""",
        tmp_path / "log",
    )


def test_one_of_another_run_is_left_alone(tmp_path: Path) -> None:
    _run(
        """
pid, end = begin()
assert tree.kill_strays(set(), "another-run")
tree.kill_marked("another-run")
assert tree.children_of(os.getpid()) == [pid]
os.write(end, b"first")
os.close(end)
tree.kill_marked("the-run")
assert stored() == "first"
assert tree.kill_strays(set())
assert tree.children_of(os.getpid()) == []
""",
        tmp_path / "log",
    )


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    _run(
        """
pid, end = begin()
tree.HELPER_WAIT = 0.01
assert tree.kill_strays(set(), "the-run")
assert tree.children_of(os.getpid()) == []
try:
    os.write(end, b"x")
except BrokenPipeError:
    pass
else:
    raise AssertionError("somebody reads")
""",
        tmp_path / "log",
    )


def test_it_holds_nothing_and_no_signal_of_a_terminal_ends_it(tmp_path: Path) -> None:
    _run(
        """
folder = os.open("/", os.O_RDONLY)
os.set_inheritable(folder, True)
pid, end = begin()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    os.kill(pid, number)
assert os.getsid(pid) != os.getsid(0)
where = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
where = [place for place in where if place not in (path, "/dev/null")]
assert len(where) == 1 and where[0].startswith("pipe:"), where
assert os.readlink(f"/proc/{pid}/cwd") == "/"
os.write(end, b"stored")
os.close(end)
assert tree.kill_strays(set(), "the-run")
assert stored() == "stored"
""",
        tmp_path / "log",
    )


def test_without_a_cat_there_is_none(tmp_path: Path) -> None:
    _run(
        """
os.environ["PATH"] = "."
log_readers.FOLDERS = ()
try:
    begin()
except log_readers.NoReaderError as error:
    assert "no cat" in str(error)
assert tree.children_of(os.getpid()) == []
""",
        tmp_path / "log",
    )
