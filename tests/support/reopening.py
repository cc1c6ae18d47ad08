"""Jobs whose children open their output anew, and the same as plain functions.

Each way of `WAYS` writes to both streams before and after, so that what is lost would show.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import multiprocessing
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING

from mcp_queue import command
from support.job_commands import meet
from support.processes import CONNECT

if TYPE_CHECKING:
    from collections.abc import Callable

ANEW = "echo a child > /dev/stdout; echo its error > /dev/stderr"


def note(line: str) -> None:
    """A line to both streams."""
    print(line)
    print(line, file=sys.stderr)


def _shell(line: str) -> None:
    subprocess.run(line, shell=True, check=False)


def _refused(act: Callable[[], object]) -> None:
    try:
        act()
    except (OSError, io.UnsupportedOperation) as error:
        note(f"{type(error).__name__} {error.errno}")
    else:
        note("not refused")


def _redirect() -> None:
    _shell(ANEW)


def _twice() -> None:
    _shell(f"{ANEW}; {ANEW}; echo once more > /proc/self/fd/1; echo and > /dev/fd/2")


def _tee() -> None:
    _shell("echo 1 | tee /dev/stderr; echo 2 | tee -a /dev/stderr; echo 3 | tee /dev/stdout")


def _system() -> None:
    os.system(ANEW)


def _popen() -> None:
    with os.popen(f"{ANEW}; echo read") as file:
        note(file.read())


def _spawns() -> None:
    for spawn in (os.posix_spawn, os.posix_spawnp):
        os.waitpid(spawn("/bin/sh", ["sh", "-c", ANEW], os.environ), 0)
    os.spawnlp(os.P_WAIT, "sh", "sh", "-c", ANEW)
    subprocess.run(["/bin/sh", "-c", ANEW], close_fds=False, check=True)


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", ANEW])
    os.waitpid(pid, 0)


def _fork_in_python() -> None:
    pid = os.fork()
    if pid == 0:
        _in_python()
        os._exit(0)
    os.waitpid(pid, 0)


def _in_python() -> None:
    with open("/dev/stdout", "w") as file:
        file.write("open w\n")
    with open("/dev/stderr", "r+b", buffering=0) as file:
        file.write(b"open r+\n")
    pathlib.Path("/dev/stdout").write_text("pathlib\n")
    with open(1, "w", closefd=False) as file:
        file.write("by number\n")
        file.flush()
        _refused(lambda: file.truncate(0))
    descriptor = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, b"os.open\n")
    os.close(descriptor)


def _copies() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, link = os.path.join(folder, "source"), os.path.join(folder, "link")
        pathlib.Path(source).write_text("copied\n")
        os.symlink("/dev/stdout", link)
        with open(source) as text, open(link, "w") as file:
            shutil.copyfileobj(text, file)


def _truncates() -> None:
    kept = os.dup(1)
    for act in (
        lambda: os.truncate(1, 0),
        lambda: os.ftruncate(2, 0),
        lambda: os.truncate("/dev/stdout", 0),
        lambda: os.ftruncate(kept, 0),
        lambda: sys.stdout.truncate(0),
        lambda: sys.stderr.truncate(0),
        sys.stdout.truncate,
    ):
        _refused(act)
    os.close(kept)


def _truncates_at_first() -> None:
    _refused(lambda: sys.stderr.truncate(0))


def _in_child_truncates() -> None:
    code = "import os\ntry: os.truncate(1, 0)\nexcept OSError as e: print(e)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _elsewhere() -> None:
    subprocess.run(ANEW, shell=True, check=True, stdout=subprocess.DEVNULL)
    found = subprocess.run(ANEW, shell=True, check=True, capture_output=True)
    note(f"{found.stdout} {found.stderr}")
    subprocess.run(ANEW, shell=True, check=True, stdout=sys.stderr, stderr=subprocess.STDOUT)


def _pool(method: str) -> Callable[[], None]:
    def start() -> None:
        with multiprocessing.get_context(method).Pool(1) as pool:
            pool.map(os.system, [ANEW])
            pool.close()
            pool.join()

    return start


def _executor() -> None:
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        pool.submit(_in_python).result()


def _asyncio() -> None:
    async def start() -> None:
        process = await asyncio.create_subprocess_shell(ANEW)
        await process.wait()

    asyncio.run(start())


def _put_back() -> None:
    """As who captures what C code prints: the log file itself is put back in its place."""
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        _shell("echo captured > /dev/null; echo it > /dev/stderr")
        os.dup2(kept, 1)
    os.close(kept)
    _shell(ANEW)


def _its_own() -> None:
    """The job's descriptor 1 is a file of its own, which a child empties as it should."""
    with tempfile.NamedTemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        print("goes to the file")
        _shell(ANEW)
        print(file.read(), file=sys.stderr)


def _both_one() -> None:
    os.dup2(1, 2)
    _shell(ANEW)
    _shell("echo 1 | tee /dev/stderr > /dev/null")


def _by_threads() -> None:
    """Two lines that do not tell which came first."""
    both = [threading.Thread(target=_shell, args=("echo x > /dev/stdout",)) for _ in range(8)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()


def _much() -> None:
    """More than a pipe holds, then at once the end."""
    _shell("head -c 3000000 /dev/zero | tr '\\0' x > /dev/stdout")


def _seen_by_nobody() -> None:
    """What the job learns of processes is what it started."""
    told: list[int] = []
    signal.signal(signal.SIGCHLD, lambda number, frame: told.append(number))
    _shell("exit 3")
    pid = os.fork()
    if pid == 0:
        os._exit(4)
    note(str(os.wait() == (pid, 4 << 8)))
    try:
        os.wait()
    except ChildProcessError as error:
        note(str(error))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    note(f"{len(told)} {multiprocessing.active_children()}")
    note(str(os.open("/dev/null", os.O_RDONLY) < 10))


WAYS: dict[str, Callable[[], None]] = {
    "redirect": _redirect,
    "twice": _twice,
    "tee": _tee,
    "system": _system,
    "popen": _popen,
    "spawns": _spawns,
    "fork": _fork,
    "fork, in Python": _fork_in_python,
    "in Python": _in_python,
    "copies": _copies,
    "truncates": _truncates,
    "truncates at first": _truncates_at_first,
    "in a child, truncates": _in_child_truncates,
    "elsewhere": _elsewhere,
    "pool, spawn": _pool("spawn"),
    "pool, fork": _pool("fork"),
    "pool, forkserver": _pool("forkserver"),
    "executor": _executor,
    "asyncio": _asyncio,
    "put back": _put_back,
    "its own": _its_own,
    "both one": _both_one,
    "by threads": _by_threads,
    "much": _much,
    "seen by nobody": _seen_by_nobody,
}


def go(way: str) -> None:
    """One of `WAYS`, a line before and after."""
    note("before")
    WAYS[way]()
    note("after")


@command(use_queue=True)
def reopens(way: str) -> str:
    """`go`."""
    go(way)
    return way


@command(use_queue=True)
def opens_what_is_not_there() -> None:
    """As most jobs that fail."""
    with open("/nowhere") as file:
        print(file.read())


@command(use_queue=True)
def becomes_another() -> None:
    """The worker becomes a shell."""
    note("before")
    os.execv("/bin/sh", ["sh", "-c", ANEW])


@command(use_queue=True)
def reopens_and_dies(how: str, size: int) -> None:
    """A child writes so many bytes, and the worker is gone in the next instruction."""
    note("before")
    code = f"open('/dev/stdout', 'w').write('x' * {size} + '\\nlast\\n')"
    subprocess.run([sys.executable, "-c", code], check=True)
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)


@command(use_queue=True)
def meets_and_reopens(port: int) -> None:
    """A line before the test lets go, and a child's after it."""
    note("before")
    meet(port)
    _shell(ANEW)
    meet(port)
    note("after")


@command(use_queue=True)
def leaves_a_printer(port: int, gate: int) -> str:
    """Leave a daemon that prints for ever, and another that only holds the output open."""
    subprocess.Popen("while :; do echo again; done", shell=True, start_new_session=True)
    subprocess.Popen([sys.executable, "-c", CONNECT, str(port)], start_new_session=True)
    meet(gate)
    note("the job's last line")
    return "ended"


@command(use_queue=True)
def pours_in_child(size: int) -> None:
    """A child writes so many bytes to a `/dev/stdout` that it opens."""
    print("the first line")
    _shell(f"yes {'y' * 99} | head -c {size} > /dev/stdout")
    print("the last line")


@command(use_queue=True)
def has_no_descriptors() -> str:
    """Use them all up, then start a child."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    kept: list[socket.socket] = []
    try:
        while True:
            kept.append(socket.socket())
    except OSError:
        pass
    print("before")
    os.system("echo from a child")
    return str(len(kept) > 0)


@command(use_queue=True)
def has_no_cat() -> None:
    """As on a machine without one."""
    from mcp_queue.system import log_readers

    log_readers.FOLDERS = ()  # pyright: ignore[reportConstantRedefinition]
    os.environ["PATH"] = "/nowhere"
    print("before")
    for _ in range(2):
        os.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", "echo from a child")


@command(use_queue=True)
def empties_its_log(port: int) -> None:
    """What nobody can see coming: a descriptor that was kept from the beginning."""
    kept = os.dup(1)
    for n in range(100):
        print("line", n)
    meet(port)
    subprocess.run("echo anew > /dev/stdout", shell=True, stdout=kept, check=True)
