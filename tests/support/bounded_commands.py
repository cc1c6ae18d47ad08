"""Commands, resources and prompts on which a message could cost without end."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mcp_queue import File, Image, InvalidContentError, Job, command, resource

NESTED = "^(a+)+$"


@resource("walls://{+a}/{+b}/{+c}/{+d}/{+e}/{+f}!")
def walls(a: str, b: str, c: str, d: str, e: str, f: str) -> list[str]:
    """Many ways to divide an address."""
    return [a, b, c, d, e, f]


@command(
    conditions={"if": {"properties": {"text": {"pattern": NESTED}}}, "then": {"required": ["n"]}}
)
def conditional(text: str, n: int = 0) -> str:
    """A pattern in a condition."""
    return "taken"


@command
def patterned(text: Annotated[str, Field(pattern=NESTED)]) -> str:
    """A pattern of a parameter."""
    return "taken"


@command
def numbers(values: list[int]) -> int:
    """Take numbers."""
    return len(values)


@command(use_queue=True)
def waits(path: str) -> str:
    """Run until a file is there."""
    while not Path(path).exists():
        time.sleep(0.02)
    return "done"


@command(use_queue=True)
def rests(text: str) -> int:
    """Take a text, and do nothing."""
    return len(text)


@command(use_queue=True)
def keeps(sizes: dict[str, int], again: int = 1, *, job: Job) -> list[str]:
    """Keep files of so many bytes, each so often, and say what came of each."""
    found: list[str] = []
    for name, size in sizes.items():
        try:
            for _ in range(again):
                job.artifact(name, os.urandom(size))
            found.append("kept")
        except InvalidContentError as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


@command(use_queue=True)
def keeps_a_copy(path: str, *, job: Job) -> str:
    """Keep a file by its path."""
    return job.artifact("copy", path=path)


@command(use_queue=True)
def keeps_in_children(size: int, *, job: Job) -> list[int | None]:
    """Keep files in children, one after the other; their exit codes."""
    codes: list[int | None] = []
    for method in ("fork", "spawn"):
        for number in range(2):
            context: Any = multiprocessing.get_context(method)
            child = context.Process(target=_keep, args=(job, f"{method} {number}", size))
            child.start()
            child.join()
            codes.append(child.exitcode)
    return codes


def _keep(job: Job, name: str, size: int) -> None:
    try:
        job.artifact(name, b"x" * size)
    except InvalidContentError:
        os._exit(7)


@command(use_queue=True)
def returns_files(size: int) -> list[Any]:
    """Return two files."""
    return [File(os.urandom(size), name=name) for name in ("a", "b")]


@command(use_queue=True)
def returns_image(size: int) -> Image:
    """Return a large picture."""
    return Image(b"\x89PNG\r\n\x1a\n" + bytes(size))
