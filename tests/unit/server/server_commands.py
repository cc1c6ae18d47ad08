"""Commands that behave in ways a server has to bear."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pydantic import BaseModel

from mcp_queue import Command, ErrorResult, Job, SuccessResult, command


class Sum(BaseModel):
    total: int


@command
def add(a: int, b: int = 2) -> Sum:
    """Add two numbers."""
    return Sum(total=a + b)


@command
async def count(steps: int, *, job: Job) -> str:
    """Count, and say how far."""
    for step in range(1, steps + 1):
        job.set_progress(100 * step / steps, f"{step} of {steps}")
        await asyncio.sleep(0.06)
    return "counted"


@command
def misbehaves(how: str) -> Any:
    """Do what a command should not."""
    if how == "exit":
        raise SystemExit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "object":
        return object()
    if how == "surrogate":
        return "a\ud800"
    raise ValueError("secret" if how == "raise" else how)


@command
async def cancels_itself() -> None:
    """Raise what only the event loop should."""
    raise asyncio.CancelledError


@command(timeout=0.05)
async def dawdles() -> None:
    """Take longer than allowed."""
    await asyncio.sleep(30)


@command
async def blocks_the_loop(seconds: float) -> None:
    """Hold the event loop, as nobody should."""
    time.sleep(seconds)  # noqa: ASYNC251


class Envelope(Command):
    name = "envelope"
    descr = "Answer with an envelope"

    async def execute(self, good: bool) -> SuccessResult | ErrorResult:
        return SuccessResult(data=[1]) if good else ErrorResult("no", code="refused")


@command(use_queue=True)
def sleeps(seconds: float, *, job: Job) -> str:
    """Sleep, and say how far."""
    for _ in job.track(range(100), description="sleeping"):
        time.sleep(seconds / 100)
    return "slept"


@command(use_queue=True, task="never")
def never_a_task() -> None:
    """Answer with a handle, always."""


@command(use_queue=True, task="required")
def only_a_task() -> None:
    """Answer as a task, always."""
