"""The tools that the hosts call."""

from __future__ import annotations

import threading
import time

from mcp_queue import Job, command


@command(use_queue=True)
def work(seconds: float, *, job: Job) -> str:
    """Work for a while."""
    print("at work", flush=True)
    pause = threading.Event()
    began = time.monotonic()
    while not job.stopping and (spent := time.monotonic() - began) < seconds:
        job.set_progress(100 * spent / seconds, "working")
        pause.wait(min(0.05, seconds - spent))
    return f"worked for {seconds:g} s"


@command(use_queue=True)
def greet(*, job: Job) -> str:
    """Ask for a name."""
    answer = job.ask("Who are you?", {"name": str})
    return f"Hello, {answer.content.get('name')} ({answer.action})"
