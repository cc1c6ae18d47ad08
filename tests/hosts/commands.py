"""The tools that the recorded hosts had called."""

from __future__ import annotations

import threading

from mcp_queue import Job, command

RECORDED_SECOND = 0.25  # seconds that a second of a recording lasts here
STEPS_PER_SECOND = 10


@command(use_queue=True)
def slow(seconds: float, *, job: Job) -> str:
    """Work for a while."""
    pause = threading.Event()
    steps = round(seconds * STEPS_PER_SECOND)
    for _ in job.track(range(steps), description="working"):
        if job.stopping:
            break
        pause.wait(RECORDED_SECOND / STEPS_PER_SECOND)
    return f"worked for {seconds:g} s"


@command(use_queue=True)
def greet(*, job: Job) -> str:
    """Greet a person."""
    answer = job.ask("Who are you?", {"name": str})
    return f"Hello, {answer.content['name']}"


@command
def both() -> dict[str, int]:
    """Answer with text and structured content."""
    return {"answer": 42}


@command
def content():
    """Answer with text."""
    return "some text"


@command
def err() -> str:
    """Fail."""
    raise ValueError("this one always fails")
