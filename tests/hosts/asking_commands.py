"""The tool of the recorded question: it asks, and works if it may."""

from __future__ import annotations

from mcp_queue import Job, command


@command(use_queue=True)
def slow(seconds: float, *, job: Job) -> str:
    """Ask before the work."""
    answer = job.ask("Shall I go on?")
    return f"{'went on' if answer else 'declined'} after {seconds:g} s"
