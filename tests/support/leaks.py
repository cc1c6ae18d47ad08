"""A pytest plugin: every test leaves the machine as it found it.

Each test session marks its environment with an id of its own, which every process that a test
starts inherits, in whatever session or process group it ends up. After each test, and once more at
the end, nothing may be left that was not there before: no marked process, no thread, no open
descriptor, no temporary folder of ours. Stragglers have ``--leak-guard`` seconds to go; what then
still stands is named, ended, and fails the test.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from support.guards import GUARD

MARK = "MCP_QUEUE_TEST_SESSION"
FOLDER_PREFIX = "mcp-queue-"
_strangers: set[tuple[bytes, int, int]] = set()
"""Processes without the mark, which they cannot get later: reading them each time is slow."""
_USER_FOLDERS = ("CACHE", "CONFIG", "DATA", "STATE")

_original = pytest.StashKey[dict[str, str]]()
_named = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--leak-guard",
        type=float,
        default=GUARD / 2,
        metavar="SECONDS",
        help="how long processes and threads of a test may outlast it (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_original] = dict(os.environ)
    config.stash[_named] = set()
    os.environ[MARK] = uuid.uuid4().hex


def pytest_unconfigure(config: pytest.Config) -> None:
    before = config.stash[_original]
    os.environ.pop(MARK, None)
    if MARK in before:
        os.environ[MARK] = before[MARK]


@pytest.fixture(scope="session")
def user_environment(pytestconfig: pytest.Config) -> dict[str, str]:
    """The environment that pytest was started in, with the mark of this session."""
    return {**pytestconfig.stash[_original], MARK: os.environ[MARK]}


@pytest.fixture(scope="session")
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that ``tempfile`` uses here and in all processes of the session."""
    folder = tmp_path_factory.mktemp("tmp", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(variable, str(folder))
        patch.setattr(tempfile, "tempdir", None)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def session_leak_check(pytestconfig: pytest.Config, temporary_folder: Path) -> Iterator[None]:
    """What outlives a fixture of a wider scope is found at the end."""
    yield from _check(pytestconfig, temporary_folder)


@pytest.fixture(autouse=True)
def leak_check(pytestconfig: pytest.Config, temporary_folder: Path) -> Iterator[None]:
    """Fails a test that leaves something behind."""
    yield from _check(pytestconfig, temporary_folder)


@pytest.fixture(autouse=True)
def own_user_folders(leak_check: None, temporary_folder: Path) -> Iterator[None]:
    """No test sees the user's settings or touches the user's data."""
    home = temporary_folder / f"user-{uuid.uuid4().hex}"
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("MCP_QUEUE_")]:
            if variable not in (MARK, "MCP_QUEUE_TEST_SCHEMA"):
                patch.delenv(variable)
        # A supervisor that has nothing to do leaves soon, so that no test waits for it.
        patch.setenv("MCP_QUEUE_SUPERVISOR_LINGER_SECONDS", "0.1")
        for kind in _USER_FOLDERS:
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        if sys.platform == "win32":
            patch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", str(home / "local"))
            patch.setenv("WIN_PD_OVERRIDE_APPDATA", str(home / "roaming"))
        yield


def marked_processes() -> set[psutil.Process]:
    """The living processes that this session has started, directly or through others."""
    mark = os.environ[MARK]
    own = psutil.Process()
    if sys.platform == "linux":
        return set(_own_processes(f"{MARK}={mark}\0".encode(), own.pid))
    children = {child for child in own.children(recursive=True) if not _is_gone(child)}
    return {*children, *(p for p in psutil.process_iter() if _has_mark(p, mark))} - {own}


def _own_processes(mark: bytes, own: int) -> Iterator[psutil.Process]:
    """The processes with the mark, and those below them and us that have lost it."""
    ours, parents, unmarked = {own}, dict[int, int](), set[tuple[bytes, int, int]]()
    for pid, born in _processes():
        if (mark, pid, born) in _strangers:
            continue
        with suppress(OSError):
            environment = _environment(pid)
            if mark in environment:
                ours.add(pid)
                continue
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[pid] = int(parent)
            if environment:  # it is empty for a moment when a process becomes a program
                unmarked.add((mark, pid, born))
    while below := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= below
    _strangers.update(entry for entry in unmarked if entry[1] not in ours)
    for pid in ours - {own}:
        with suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b"none, or not for us"


def _processes() -> Iterator[tuple[int, int]]:
    """Each process, and a number that is another one when its id is used again."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):
                yield int(name), os.stat(f"/proc/{name}").st_ctime_ns


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _descriptors() -> dict[int, str]:
    """Number and target of what this process has open; Windows does not tell."""
    if sys.platform == "win32":
        return {}
    found: dict[int, str] = {}
    for name in os.listdir("/dev/fd"):
        try:
            found[int(name)] = _target(int(name))
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def _target(descriptor: int) -> str:
    if sys.platform == "linux":
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    status = os.fstat(descriptor)
    return f"inode {status.st_ino} of device {status.st_dev}"


@dataclass
class _Scene:
    """What is there at one moment."""

    folder: Path
    processes: set[psutil.Process] = field(default_factory=marked_processes)
    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    descriptors: dict[int, str] = field(default_factory=_descriptors)
    folders: set[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.folders = set(self.folder.glob(f"{FOLDER_PREFIX}*"))


def _check(config: pytest.Config, folder: Path) -> Iterator[None]:
    before = _Scene(folder)
    yield
    guard = float(config.getoption("--leak-guard") or 0)
    deadline = time.monotonic() + guard
    leaks = [
        *_left_processes(before, deadline),
        *_left_threads(before, deadline),
        *_left_descriptors(before),
        *_left_folders(before),
    ]
    named = config.stash[_named]
    new = [leak for leak in leaks if leak not in named]
    named.update(new)
    if new:
        pytest.fail("left behind:\n" + "\n".join(new), pytrace=False)


def _left_processes(before: _Scene, deadline: float) -> list[str]:
    while (left := marked_processes() - before.processes) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=max(0.0, deadline - time.monotonic()))
    found: dict[int, str] = {}
    while left:
        for process in left:
            found.setdefault(process.pid, f"process {process.pid}: {_command(process)}")
            _kill(process)
        psutil.wait_procs(left)
        left = marked_processes() - before.processes
    return list(found.values())


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error as error:
        return str(error)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _left_threads(before: _Scene, deadline: float) -> list[str]:
    left = set(threading.enumerate()) - before.threads - {threading.current_thread()}
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"thread {thread.name}" for thread in left if thread.is_alive()]


def _left_descriptors(before: _Scene) -> list[str]:
    if _new_descriptors(before):
        gc.collect()
    return [f"descriptor {number}: {target}" for number, target in _new_descriptors(before)]


def _new_descriptors(before: _Scene) -> list[tuple[int, str]]:
    return sorted(_descriptors().items() - before.descriptors.items())


def _left_folders(before: _Scene) -> list[str]:
    left = sorted(set(before.folder.glob(f"{FOLDER_PREFIX}*")) - before.folders)
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return [f"temporary folder {path}" for path in left]
