"""Commands that do harm, and questions that are barriers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mcp_queue import Command, Job, Question, command


@command(use_queue=True, destructive=True)
def wipes(path: str) -> str:
    """Write the file that stands for harm."""
    Path(path).write_text("harm")
    return "wiped"


class WipesToo(Command):
    name = "wipes_too"
    descr = "The same as a class."
    use_queue = True
    destructive = True

    def execute(self, path: str) -> str:
        return wipes(path)


@command(use_queue=True, destructive=False)
def adds_up(path: str) -> str:
    """Harmless, and says so."""
    return path


@command(use_queue=True)
def says_nothing(path: str) -> str:
    """Says nothing of itself."""
    return path


@command(destructive=True)
def wipes_at_once(path: str) -> str:
    """Not queued."""
    return wipes(path)


@command(use_queue=True)
def asks_the_person(*, job: Job) -> list[Any]:
    """Ask what only the person can answer."""
    answer = job.ask("Delete all of it?", person=True)
    return [bool(answer), answer.action]


@command(use_queue=True)
async def asks_the_person_async(*, job: Job) -> list[Any]:
    """The same in a coroutine."""
    answer = await job.ask_async("Delete all of it?", person=True)
    return [bool(answer), answer.action]


@command(use_queue=True)
def asks_both(*, job: Job) -> dict[str, Any]:
    """Ask one question of each kind at once."""
    answers = job.ask_all(
        {"which": Question("Which?", {"n": int}), "sure": Question("Sure?", person=True)}
    )
    return {key: answer.action for key, answer in answers.items()}
