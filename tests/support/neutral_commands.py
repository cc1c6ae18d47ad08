"""Commands that look at the ground they stand on, or take it away."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mcp_queue import File, Job, QueueError, command
from support.job_commands import meet

KEPT: list[Any] = [File]  # who may return one needs more for the end of a job


@command(use_queue=True)
def exits_with(code: int) -> None:
    """End without a word."""
    os._exit(code)


@command(use_queue=True)
def dies_of(number: int) -> None:
    """Be killed by a signal."""
    os.kill(os.getpid(), number)
    time.sleep(600)


@command(use_queue=True)
def child_exits_with(code: int) -> int:
    """The exit status of a child, as the job sees it."""
    return subprocess.run(["sh", "-c", f"exit {code}"], check=False).returncode


@command
def plain_child_exits_with(code: int) -> int:
    """The same in the server's process."""
    return subprocess.run(["sh", "-c", f"exit {code}"], check=False).returncode


@command(use_queue=True)
def signals_of_a_child() -> list[str]:
    """What a program that the job starts ignores and blocks."""
    code = (
        "import signal as s, sys; "
        "print(*[n for n in range(1, 32) if s.getsignal(n) is s.SIG_IGN], "
        "*s.pthread_sigmask(0, ()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def _until_stopped(job: Job, port: int) -> str | None:
    meet(port)
    for _ in range(6000):
        if job.stopping:
            print("cleaned up", flush=True)
            return "saw the stop"
        time.sleep(0.01)
    return None


@command(use_queue=True)
def stops_when_asked(port: int, *, job: Job) -> str | None:
    """Return once a stop is asked."""
    return _until_stopped(job, port)


@command(use_queue=True)
def stops_with_own_handler(port: int, *, job: Job) -> str | None:
    """The same in a program that has taken the signal for itself."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    return _until_stopped(job, port)


@command(use_queue=True)
def stops_with_signal_blocked(port: int, *, job: Job) -> str | None:
    """The same in a program that lets no signal through."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    return _until_stopped(job, port)


@command(use_queue=True)
def stops_in_a_fork(port: int, *, job: Job) -> str | None:
    """The same in a forked child, which gets no signal."""
    if (pid := os.fork()) == 0:
        os._exit(0 if _until_stopped(job, port) else 1)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(0.01)
    return "saw the stop"


@command(use_queue=True)
def stops_in_a_spawned_child(port: int, *, job: Job) -> str | None:
    """The same in a process that multiprocessing spawns and the job is handed to."""
    child = multiprocessing.get_context("spawn").Process(target=_until_stopped, args=(job, port))
    child.start()
    child.join()
    return "saw the stop" if child.exitcode == 0 else None


def _report(job: Job, percent: float) -> None:
    job.set_progress(percent, f"reported by {multiprocessing.current_process().name}")


@command(use_queue=True)
def children_report(how: str, port: int, *, job: Job) -> None:
    """A child reports and is gone; the job waits for the test."""
    if how == "os.fork":
        if (pid := os.fork()) == 0:
            job.set_progress(10)
            _report(job, 40)
            os._exit(0)
        os.waitpid(pid, 0)
    else:
        context: Any = multiprocessing.get_context(how)
        child = context.Process(target=_report, args=(job, 40))
        child.start()
        child.join()
    meet(port)


@command(use_queue=True)
def asks_in_a_fork(*, job: Job) -> str:
    """A forked child asks, and says what it learns."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            job.ask("Go on?")
        except QueueError as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(read, 4096).decode()


@command(use_queue=True)
def leaves_orphans(count: int) -> list[Any]:
    """Orphans that end at once; who is waited for is the job's own child alone."""
    for _ in range(count):
        subprocess.run(["sh", "-c", "sh -c 'exit 1' & exit 0"], check=True)
    zombies = [
        name
        for name in os.listdir("/proc")
        if name.isdigit() and _parent_and_state(name) == (os.getpid(), "Z")
    ]
    try:
        stranger = os.wait()[0]
    except ChildProcessError:
        stranger = None
    return [zombies, stranger]


def _parent_and_state(pid: str) -> tuple[int, str]:
    try:
        fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, ""
    return int(fields[1]), fields[0]


@command(use_queue=True)
def shares_memory(port: int) -> str:
    """Make shared memory, and free it neither when it ends nor when it is stopped."""
    from multiprocessing import shared_memory

    memory = shared_memory.SharedMemory(create=True, size=1 << 20)
    print(memory.name, flush=True)
    meet(port)
    return memory.name


class Tee:
    """What programs put in the place of a stream, to write to two at once."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text)


@command(use_queue=True)
def replaces_streams(how: str) -> str:
    """Put something else in the place of the standard streams, and leave it there."""
    if how == "tee":
        sys.stdout, sys.stderr = Tee(sys.stdout), Tee(sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
        print("through the tee")
    elif how == "nothing":
        sys.stdout = sys.stderr = None
    else:
        sys.stdout.close()
        sys.stderr.close()
    return "kept"


@command(use_queue=True)
def forks_and_ends(how: str) -> int:
    """The exit status of a forked child that comes back, by the end of the function or not."""
    if (pid := os.fork()) == 0:
        if how == "exits":
            sys.exit(5)
        if how == "raises":
            raise ValueError("in the child")
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@command(use_queue=True)
def takes_away(what: str, folder: str, size: int = 4) -> str:
    """Take something away from its own process, and return a text of that size."""
    os.chdir(folder)
    TAKERS[what]()
    return "x" * size


def _descriptors() -> None:
    try:
        while True:
            KEPT.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    _descriptors()


def _all_descriptors() -> None:
    os.closerange(3, 20_000)


def _others_in_their_place() -> None:
    os.closerange(3, 20_000)
    KEPT.extend(os.open(f"other-{n}", os.O_CREAT | os.O_RDWR) for n in range(300))


def _file_sizes() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, most))


def _file_sizes_for_good() -> None:
    """As for an ordinary user, who cannot raise the limit again."""
    header, no_rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    assert ctypes.CDLL(None).capset(header, no_rights) == 0


def _processes() -> None:
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _rights() -> None:
    os.setgid(65534)
    os.setuid(65534)


def _root_folder() -> None:
    os.chroot("/proc")


TAKERS = {
    "descriptors": _descriptors,
    "few descriptors": _few_descriptors,
    "all descriptors": _all_descriptors,
    "all descriptors, others in their place": _others_in_their_place,
    "file sizes": _file_sizes,
    "file sizes for good": _file_sizes_for_good,
    "processes": _processes,
    "rights": _rights,
    "root folder": _root_folder,
}
