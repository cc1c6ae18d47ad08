"""Prompts, resources and conditions as an author writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from mcp_types import GetPromptResult, PromptMessage, ReadResourceResult, TextContent
from mcp_types import TextResourceContents as Text
from pydantic import Field

from mcp_queue import File, Image, Job, Link, QueueManager, command, prompt, resource

PNG = b"\x89PNG\r\n\x1a\n" + b"no real picture"


@command
def changes_notes(to: int) -> int:
    """Change what a resource says, at once."""
    return to


@command(use_queue=True, inline_wait=30)
def builds(fail: bool = False) -> str:
    """Change what a resource says, in a job."""
    if fail:
        raise ValueError("failed as asked")
    return "built"


REACHABLE = {
    "anyOf": [{"required": ["phone"]}, {"required": ["email"]}],
    "if": {"properties": {"urgent": {"const": True}}, "required": ["urgent"]},
    "then": {"required": ["phone"]},
}


@command(conditions=REACHABLE)
def reaches(phone: str = "", email: str = "", urgent: bool = False) -> str:
    """Reach somebody."""
    return f"{phone}{email}{urgent}"


@command(use_queue=True, conditions={"dependentRequired": {"until": ["since"]}})
def ranges(since: int = 0, until: int = 0) -> int:
    """Take a range, queued."""
    return until - since


@resource("notes://today", title="Today's notes", updated_by=("builds", "changes_notes"))
def notes() -> str:
    """What there is to do."""
    return "water the plants"


@resource("notes://{day}/{kind}", mime_type="text/markdown")
async def notes_of(day: int, kind: Literal["long", "short"]) -> str:
    """The notes of a day.

    Args:
        day: which one, counted from 1.
    """
    return f"# {kind} notes of day {day}"


@resource("folder://{+path}", updated_by="builds")
def in_folder(path: str) -> str | None:
    """A file of a folder."""
    return None if path == "missing.txt" else path


@resource("kinds://{what}")
def kinds(what: str, *, queue: QueueManager, job: Job) -> Any:
    """One of each kind."""
    if what == "bytes":
        return PNG
    if what == "image":
        return Image(PNG)
    if what == "file":
        return File(path=Path(__file__))
    if what == "json":
        return {"settings": queue.settings.in_memory, "request": bool(job.job_id)}
    if what == "whole":
        return ReadResourceResult(contents=[Text(uri="kinds://other", text="as it is")])
    if what == "link":
        return Link("https://example.org/")
    if what == "exits":
        raise SystemExit(3)
    raise LookupError(f"there is no {what}")


@resource("asked://{what}")
async def asked(what: str, *, job: Job) -> str:
    """What the person says."""
    answer = await job.ask_async(f"Which {what}?", {"language": str})
    return f"{what}: {answer.content['language']}"


@prompt
def plain() -> str:
    """Say hello."""
    return "Say hello."


@prompt(name="review", title="Review the code", description="Look at the code with care")
async def review_it(
    path: str,
    depth: Annotated[Literal["quick", "deep"], Field(description="how closely")] = "quick",
    rounds: int = 1,
) -> list[Any]:
    """Not shown."""
    return [
        f"Review {path}, {depth}, {rounds + 1} times.",
        Image(PNG),
        File("x = 1\n", name="code.py"),
        {"rounds": rounds},
        PromptMessage(role="assistant", content=TextContent(text="I will.")),
    ]


@prompt
def whole() -> GetPromptResult:
    """Given as it is."""
    return GetPromptResult(description="mine", messages=[])


@prompt
def asks(*, job: Job) -> str:
    """Ask before it answers."""
    answer = job.ask("In which language?", {"language": str})
    return f"Answer in {answer.content['language']}."


@prompt
def breaks() -> str:
    """Fail."""
    raise ValueError("broken within")


@prompt
def takes_no_such_type(it: NoSuchType) -> str:  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  # noqa: F821
    """Not offered either."""
    return str(it)  # pyright: ignore[reportUnknownArgumentType]


@prompt
def takes_a_list(paths: list[str]) -> str:
    """Not offered."""
    return str(paths)
