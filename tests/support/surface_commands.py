"""Commands of the tests of what an agent sees. A gate is a file: a job waits until it is there."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from mcp_queue import Command, Job, SuccessResult, command


def _wait_for(gate: str, job: Job) -> None:
    while not Path(gate).exists() and not job.stopping:
        sleep(0.005)


@command(use_queue=True, inline_wait=30)
def quick(steps: int, *, job: Job) -> dict[str, int]:
    """Count, and say how far; the call waits for it."""
    for step in job.track(range(steps), description="counting"):
        sleep(0.02)
        del step
    return {"counted": steps}


@command(use_queue=True, inline_wait=30)
def breaks() -> None:
    """Fail while the call waits."""
    raise ValueError("broken within")


@command(use_queue=True, inline_wait=0.2)
def gated_briefly(gate: str, *, job: Job) -> str:
    """Wait for a file, longer than the call does."""
    _wait_for(gate, job)
    return "passed"


@command(use_queue=True, inline_wait=60, task="never")
def gated_long(gate: str, *, job: Job) -> str:
    """Wait for a file, and so does the call."""
    job.set_progress(10, "at the gate")
    _wait_for(gate, job)
    return "passed"


class Inline(Command):
    name = "inline_class"
    use_queue = True
    inline_wait = 30

    async def execute(self, text: str) -> SuccessResult:
        """The class form."""
        return SuccessResult(data=text.upper())
