"""Commands of the benchmarks."""

from __future__ import annotations

import os
import threading
import time

from mcp_queue import Job, command


@command
async def plain() -> None:
    """Nothing, answered directly."""


@command(use_queue=True)
def noop() -> None:
    """Nothing, queued."""


@command(use_queue=True)
def spin() -> None:
    """Use a processor until it is killed."""
    while True:
        pass


@command(use_queue=True)
def share_of_a_core(seconds: float) -> float:
    """Spin for that long; how much of a processor it got."""
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        pass
    return (time.process_time() - used) / (time.monotonic() - began)


@command(use_queue=True)
def exits(*, job: Job) -> None:
    """Leave with exit status 3, saying when."""
    job.set_progress(50, str(time.time()))
    time.sleep(0.1)
    job.set_description(str(time.time()))
    time.sleep(0.05)
    os._exit(3)


@command(use_queue=True)
def reports(count: int, *, job: Job) -> None:
    """Report progress, each time with the moment of the report."""
    for number in range(count):
        job.set_progress(100 * number / count, str(time.time()))
        time.sleep(0.1)


@command(use_queue=True)
def idles() -> None:
    """Nothing, until it is killed."""
    threading.Event().wait()


@command(use_queue=True)
def takes(text: str) -> int:
    """Nothing, with a text."""
    return len(text)
