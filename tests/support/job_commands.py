"""Commands of the process tests. A job that waits has a line to the test (``meet``): it goes on
when the test lets go of the line, and its death is the line's end."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import sleep
from typing import Any

from mcp_queue import Job, clock, command
from support.processes import CONNECT, DAEMON


def arrive(port: int) -> socket.socket:
    """Tell the test that we are here; the line to it."""
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(b"here")
    return line


def meet(port: int) -> None:
    """Wait until the test lets go."""
    arrive(port).recv(1)


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _wait_for_stop(job: Job) -> None:
    while not job.stopping:
        sleep(0.01)


@command(use_queue=True)
def add(a: int, b: int) -> int:
    """A sum."""
    return a + b


@command(use_queue=True)
def note(path: str, line: str) -> None:
    """Append a line to a file: what runs twice writes twice."""
    with Path(path).open("a") as file:
        file.write(line + "\n")


@command(use_queue=True)
def gated(port: int, answer: Any = None, *, job: Job) -> Any:
    """Report, wait for the test, report, answer."""
    job.set_progress(10, "at the gate")
    print("at the gate")
    meet(port)
    job.set_progress(90, "through the gate")
    print("through the gate")
    return answer


@command(use_queue=True)
async def wait_async(port: int, path: str) -> str:
    """Wait in a coroutine, and tidy up when cancelled."""
    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"here")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        _write(path, "tidied up")
    return "never"


@command(use_queue=True)
async def add_async(a: int, b: int) -> int:
    """A sum, later."""
    await asyncio.sleep(0)
    return a + b


class _BrokenTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


_RAISED = {
    "error": lambda: ValueError("no good"),
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "broken": _BrokenTextError,
    "surrogate": lambda: ValueError("half \ud800 a pair"),
    "long": lambda: ValueError("x" * 1_000_000),
}


@command(use_queue=True)
def raises(what: str, *, job: Job) -> None:
    """Raise something."""
    job.set_progress(42, "last words")
    raise _RAISED[what]()


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


_RETURNED = {
    "nan": lambda: {"a": [1, float("nan")]},
    "surrogate": lambda: {"a": "\ud800"},
    "bytes": lambda: {"a": b"x"},
    "key": lambda: {"a": {frozenset((1,)): 3}},
    "object": lambda: {"a": object()},
    "cycle": _cycle,
    "deep": lambda: _nested(100_000),
    "nested": lambda: _nested(700),
    "number": lambda: 10**10_000,
    "large": lambda: "\u00e9" * 600_000,
    "null": lambda: None,
}


@command(use_queue=True)
def returns(what: str) -> Any:
    """Return something."""
    return _RETURNED[what]()


@command(use_queue=True)
def dies(how: str, port: int = 0) -> None:
    """End without an outcome, some output before it; ``port``: a daemon of it is left."""
    print("last line", flush=True)
    if port:
        subprocess.run([sys.executable, "-c", DAEMON, str(port)], check=True)
        subprocess.Popen([sys.executable, "-c", CONNECT, str(port)], start_new_session=True)
        meet(port)
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "SIGINT":
        # What runs in the background of a shell inherits that it is ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)
    elif how.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[how])
    else:
        os._exit(int(how))


@command(use_queue=True)
def noisy() -> None:
    """Write from Python, from C and from a child process."""
    print("line from Python")
    ctypes.CDLL(None).write(1, b"line from C\n", 12)
    subprocess.run([sys.executable, "-c", "print('line from a child')"], check=True)
    print("error from Python", file=sys.stderr)
    os.write(2, b"error without a newline")


@command(use_queue=True)
def progress(updates: int, port: int, *, job: Job) -> None:
    """Report very often; wait for the test before the end."""
    for n in range(updates):
        job.set_progress(100 * n / updates, f"update {n}")
    job.set_progress(250, "clamped")
    meet(port)
    job.set_progress(-3, "below")
    meet(port)
    job.set_progress(55.5)
    for bad in (float("nan"), "fast", None):
        job.set_progress(bad)  # pyright: ignore[reportArgumentType]
    meet(port)
    raise RuntimeError("the end")


@command(use_queue=True)
def describes(text: str, port: int, *, job: Job) -> None:
    """Say something."""
    job.set_description(json.loads(text))
    meet(port)


@command(use_queue=True)
def look_around() -> dict[str, Any]:
    """What a worker has and is."""
    found: dict[str, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = str(Path("/proc/self/fd", name).readlink())
        except OSError:  # the descriptor of the listing
            continue
    return {
        "descriptors": found,
        "modules": sorted({"mcp", "mcp_types", "pydantic", "apsw", "psutil"} & set(sys.modules)),
        "session": os.getsid(0) == os.getpid(),
        "folder": str(Path.cwd()),
        "nice": os.nice(0),
        "path": sys.path,
        "arguments": sys.argv,
        "mark": os.environ["MCP_QUEUE_RUN"],
    }


@command(use_queue=True)
def forks(port: int) -> str:
    """A fork of the job leaves as a program would; the job goes on."""
    if not os.fork():
        sys.exit(3)
    _, status = os.wait()
    meet(port)
    return f"child left with {os.waitstatus_to_exitcode(status)}"


@command(use_queue=True)
def obeys(port: int, answer: str = "kept", *, job: Job) -> str:
    """End by itself once a stop was asked."""
    with arrive(port):
        _wait_for_stop(job)
    return answer


@command(use_queue=True)
def stubborn(how: str, port: int) -> None:
    """Do not end, whatever is asked; children in sessions of their own do not either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.run([sys.executable, "-c", DAEMON, str(port)], check=True)
    subprocess.Popen([sys.executable, "-c", CONNECT, str(port)], env={}, start_new_session=True)
    line = arrive(port)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "spins":
        while True:
            pass
    line.recv(1)
    threading.Event().wait()


@command(use_queue=True)
def spins(port: int) -> None:
    """Use a processor; SIGTERM only sets ``stopping``, which is never looked at."""
    _line = arrive(port)
    while True:
        pass


@command(use_queue=True)
def lingers(port: int, *, job: Job, until_stop: bool = False) -> str:
    """Return, and leave a thread that keeps the worker from ending."""
    threading.Thread(target=arrive(port).recv, args=(1,)).start()
    if until_stop:
        _wait_for_stop(job)
    return "returned"


@command(use_queue=True, timeout=6)
def impatient(port: int) -> None:
    """Has a timeout, in which three processes start on a busy machine too."""
    stubborn("waits", port)


@command(use_queue=True)
def wall_clock() -> float:
    """What time it is, for a worker."""
    return clock.wall()


@command(use_queue=True)
def nothing() -> None:
    """Nothing."""
