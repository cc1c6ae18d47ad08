"""Commands of the acceptance tests. A gate is a file: a job waits until its test makes it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from time import sleep

from mcp_queue import Job, command


@command(use_queue=True)
def gated(gate: str, *, job: Job) -> str:
    """Report that it runs, then wait for the file ``gate``."""
    print("waiting at the gate", flush=True)
    job.set_progress(10, "at the gate")
    while not Path(gate).exists():
        sleep(0.01)
    job.set_progress(90, "through the gate")
    return "passed"


@command(use_queue=True)
def noisy() -> None:
    """Write to standard output from Python, from C and from a child process."""
    print("line from Python")
    ctypes.CDLL(None).write(1, b"line from C\n", 12)
    subprocess.run([sys.executable, "-c", "print('line from a child')"], check=True)


@command(use_queue=True)
def modules(prefixes: list[str]) -> list[str]:
    """The loaded modules that begin with one of the prefixes."""
    return sorted({name.partition(".")[0] for name in sys.modules} & set(prefixes))


@command(use_queue=True)
def spin() -> None:
    """Use a processor until it is killed."""
    while True:
        pass


@command
def chatty(text: str) -> str:
    """A plain command that prints where it should not."""
    print("stray from Python")
    sys.stdout.write("stray write\n")
    os.write(1, b"stray from the descriptor\n")
    subprocess.run([sys.executable, "-c", "print('stray from a child')"], check=True)
    return text.upper()


@command
def fails(reason: str) -> None:
    """A plain command that raises."""
    raise RuntimeError(reason)


print("stray while importing")
