"""Commands that may be run again, and those that use too much."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mcp_queue import Job, command
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


@command(use_queue=True, max_attempts=3, timeout=0.3)
def dawdles(path: str, port: int, *, job: Job) -> None:
    """Run out of time."""
    crashes(path, port=port, job=job)
