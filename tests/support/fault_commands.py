"""Commands that do harm, beside those of ``job_commands``."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from mcp_queue import Job, command
from support.job_commands import meet
from support.processes import CONNECT, DAEMON


class _UnpicklableError(Exception):
    def __init__(self) -> None:
        super().__init__("cannot be pickled", lambda: None)
        self.lock = threading.Lock()

    def __str__(self) -> str:
        return "cannot be pickled"


@command(use_queue=True)
def raises_unpicklable() -> None:
    """Raise what no pickle can hold."""
    raise _UnpicklableError


@command(use_queue=True)
def returns_bytes_of(size: int) -> str:
    """A result of that size."""
    return "x" * (size - 2)


@command(use_queue=True)
def blocks_in_c(port: int) -> None:
    """Never come back to the interpreter, with its lock held: no handler of a signal runs."""
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(b"here")
    sum(itertools.repeat(1))


@command(use_queue=True)
def note_and_ask(path: str, *, job: Job) -> str:
    """Append a line to a file, then ask."""
    with Path(path).open("a") as file:
        file.write("ran\n")
    return job.ask("Go on?").action


@command(use_queue=True)
def note_and_meet(path: str, port: int) -> str:
    """Append a line to a file, then wait for the test: what runs twice writes twice."""
    with Path(path).open("a") as file:
        file.write("ran\n")
    meet(port)
    return "met"


@command(use_queue=True)
def says_and_dies(how: str) -> None:
    """Output of Python, of C and of a child, then death in the next instruction."""
    print("from Python", end="")
    ctypes.CDLL(None).write(1, b" from C", 7)
    subprocess.run([sys.executable, "-c", "print(' from a child', end='')"], check=True)
    print("error of Python", end="", file=sys.stderr)
    print(" and the last", end="")
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)


@command(use_queue=True)
def leaves_a_holder(how: str, port: int, gate: int) -> str:
    """Leave a grandchild that holds the job's output open."""
    code = "import os, sys\nif os.fork(): os._exit(0)\n" + CONNECT
    subprocess.run([sys.executable, "-c", code, str(port)], check=True, start_new_session=True)
    meet(gate)
    if how == "exit":
        os._exit(7)
    return "ended"


@command(use_queue=True)
def leaves_marked(port: int) -> None:
    """Start a child and a daemon that keep the run's environment, and stay."""
    daemon = DAEMON.replace("sys.argv[1]], {})", "sys.argv[1]], os.environ)")
    subprocess.run([sys.executable, "-c", daemon, str(port)], check=True)
    subprocess.Popen([sys.executable, "-c", CONNECT, str(port)], start_new_session=True)
    meet(port)


@command(use_queue=True)
def floods_progress(updates: int, port: int, *, job: Job) -> None:
    """Report progress as fast as it can; wait for the test before the end."""
    for n in range(updates):
        job.set_progress(100 * n / updates, f"update {n}")
    job.set_progress(77, "the last state")
    meet(port)


@command(use_queue=True)
def exits_after_meeting(port: int, code: int) -> None:
    """Exit at once when the test lets go, some output before it."""
    print("before")
    meet(port)
    print("at the end")
    os._exit(code)


@command(use_queue=True)
def notes_and_returns(path: str, size: int) -> str:
    """Append a line to a file and return a result of that size."""
    with Path(path).open("a") as file:
        file.write("ran\n")
    return "x" * (size - 2)


@command(use_queue=True)
def writes_after_meeting(port: int, size: int) -> None:
    """Write so many bytes of output once the test lets go."""
    meet(port)
    for _ in range(size // 65536):
        sys.stdout.write("x" * 65536)


@command(use_queue=True, timeout=3600)
def patient(port: int) -> None:
    """Has an hour."""
    meet(port)


@command(use_queue=True, timeout=3)
def hasty(port: int) -> None:
    """Has three seconds."""
    meet(port)


@command(use_queue=True, memory_limit="128MiB")
def devours(in_child: bool) -> None:
    """Use more and more memory, here or in a child."""
    code = "kept = []\nwhile True: kept.append(b'x' * (4 << 20))"
    if in_child:
        subprocess.run([sys.executable, "-c", code], start_new_session=True, check=False)
    else:
        exec(code, {})


@command(use_queue=True)
def pours(size: int) -> None:
    """Write so many bytes as fast as it can, a line before and after."""
    block = b"y" * 65535 + b"\n"
    os.write(1, b"the first line\n")
    for _ in range(size // len(block)):
        left = memoryview(block)
        while left:
            left = left[os.write(1, left) :]
    os.write(1, b"the last line\n")


@command(use_queue=True)
def babbles(what: str) -> str:
    """Output that is no line of text."""
    if what == "one long line":
        sys.stdout.write("z" * 100_000_000)
    elif what == "binary":
        sys.stdout.buffer.write(bytes(range(256)) * 1000)
    elif what == "no newline":
        sys.stdout.write("no newline")
    else:
        print("before", flush=True)
        os.close(1)
        os.close(2)
    return what


@command(use_queue=True, max_attempts=2)
def tries_twice(port: int, *, job: Job) -> int:
    """Wait for the test; may be run again."""
    meet(port)
    return job.attempt


@command(use_queue=True)
def turns(seconds: float, child: bool, *, job: Job) -> str:
    """Work for a while, a child beside it that would go on for ever; leave when asked."""
    if child:
        code = "import threading; threading.Event().wait()"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    pause = threading.Event()
    for _ in job.track(range(max(1, int(seconds * 20)))):
        if job.stopping:
            return "left"
        pause.wait(0.05)
    return "turned"
