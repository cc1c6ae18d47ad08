"""Commands that may be run again, and those that use too much."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

from mcp_queue import Job, command
from mcp_queue.jobs import events
from support.job_commands import meet


@command(use_queue=True, max_attempts=3)
def crashes(path: str, how: str = "3", times: int = 99, port: int = 0, *, job: Job) -> int:
    """Note the attempt in a file; in the first ``times`` of them, die or raise."""
    with Path(path).open("a") as file:
        file.write(f"{job.attempt}\n")
    job.set_progress(50, f"in attempt {job.attempt}")
    print(f"output of attempt {job.attempt}")
    if port:
        meet(port)
    if job.attempt > times:
        return job.attempt
    if how == "raise":
        raise ValueError("no good")
    if how.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[how])
    os._exit(int(how))


@command(use_queue=True, max_attempts=3, timeout=6)
def dawdles(path: str, port: int, *, job: Job) -> None:
    """Run out of time."""
    crashes(path, port=port, job=job)


HOARD = """
import socket, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
line.sendall(b"here")
kept = b"x" * (int(sys.argv[2]) << 20)
line.recv(1)
"""


@command(use_queue=True)
def hoards_freely(megabytes: int, port: int) -> str:
    """Use memory here, without a limit of its own."""
    sys.argv = ["-c", str(port), str(megabytes)]
    exec(HOARD, {})
    return f"kept {megabytes}"


@command(use_queue=True, memory_limit="200MiB", max_attempts=2)
def hoards(megabytes: int, port: int, in_child: bool = False) -> str:
    """Use memory, here or in a process with a session of its own, until the test lets go."""
    argv = ["-c", str(port), str(megabytes)]
    if in_child:
        child = [sys.executable, "-c", HOARD, *argv[1:]]
        subprocess.run(child, start_new_session=True, env={}, check=True)
    else:
        sys.argv = argv
        exec(HOARD, {})
    return f"kept {megabytes}"


@command(use_queue=True, memory_limit="200MiB")
def reserves(port: int) -> str:
    """Take address space, and none of the memory behind it."""
    kept = mmap.mmap(-1, 4 << 30)
    meet(port)
    return f"reserved {len(kept)}"


@command(use_queue=True)
def floods(megabytes: int, port: int = 0, how: str = "", width: int = 100) -> None:
    """Write lines of a number, NUL bytes and ``width`` bytes in all; or, without, one line."""
    line = b"%08d\0\0" + b"y" * (width - 11) + b"\n" if width else b"z" * 100
    count = megabytes * 1_000_000 // (width or 100)
    for first in range(0, count, 1000):
        block = b"".join(line % n if width else line for n in range(first, first + 1000))
        events.write_all(1, block)
    if port:
        meet(port)
    if how:
        os.kill(os.getpid(), signal.Signals[how])
