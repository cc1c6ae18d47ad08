"""A command that leaves words everywhere where a job leaves some."""

from __future__ import annotations

from mcp_queue import Job, command
from mcp_queue.errors import QueueError

BIG = 20_000  # characters; a result of more than 16 KiB has a file of its own


@command(use_queue=True)
def leaves_words(word: str, number: int, *, job: Job) -> dict[str, str]:
    """Ask, print, describe, keep and return words."""
    answer = job.ask(f"question {word}", {"word": str})
    print(f"log {word} {answer.content}")
    job.set_progress(50, f"description {word}")
    job.artifact(f"artifact {word}", f"content {word}")
    if number % 10 == 9:
        raise QueueError(reason=f"error {word}")
    return {"result": f"result {word}" + "." * (BIG if number % 10 == 8 else number * 7)}
