"""The queued commands that the scenarios of the conformance suite call.

A worker imports this module, so it holds no more than they need.
"""

from __future__ import annotations

from time import sleep

from mcp_queue import ErrorResult, Job, Question, command


@command(use_queue=True)
def slow_compute(seconds: float, label: str = "", *, job: Job) -> str:
    """Work for a while."""
    for _ in job.track(range(round(seconds * 50))):
        sleep(0.02)
    return f"{label}: computed for {seconds} s"


@command(use_queue=True, task="required")
def failing_job() -> ErrorResult:
    """Fail as a job."""
    return ErrorResult("This job fails")


@command(use_queue=True)
def confirm_delete(filename: str, *, job: Job) -> str:
    """Ask before a file is deleted."""
    return f"{filename}: {'deleted' if job.ask(f'Delete {filename}?') else 'kept'}"


@command(use_queue=True)
def multi_input(*, job: Job) -> dict[str, str]:
    """Ask two questions at once."""
    fields = {"name": str, "confirm": bool}
    asked = {
        "first": Question("Who is first?", fields),
        "second": Question("Who is second?", fields),
    }
    return {key: answer.content["name"] for key, answer in job.ask_all(asked).items()}


@command(use_queue=True, task="required", ask_for=("name",))
def test_tool_with_task(name: str) -> str:
    """Greet in a job who was asked for a name before it."""
    return f"Hello, {name}!"


@command(use_queue=True, task="required")
def test_missing_capability() -> None:
    """Need a capability that the suite does not declare."""
