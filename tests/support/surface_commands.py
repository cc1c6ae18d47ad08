"""Commands of the tests of what an agent sees. A gate is a file: a job waits until it is there."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

from pydantic import BaseModel, ConfigDict

from mcp_queue import (
    Audio,
    Command,
    File,
    Image,
    Job,
    Link,
    SuccessResult,
    command,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"no real picture"
WAV = b"RIFF\x10\0\0\0WAVEfmt "


def _wait_for(gate: str, job: Job) -> None:
    while not Path(gate).exists() and not job.stopping:
        sleep(0.005)


@command(use_queue=True, inline_wait=30)
def counts_quickly(steps: int, *, job: Job) -> dict[str, int]:
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


@dataclass
class Plot:
    caption: str
    picture: Image


class Report(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    pages: int
    attachment: File


def results(what: str, path: str) -> Any:
    """A result of each kind."""
    if what == "image":
        return Image(PNG)
    if what == "by path":
        return File(path=path)
    if what == "list":
        return [
            "in words",
            Image(PNG, name="plot.png", title="The plot"),
            {"numbers": [1, 2]},
            Audio(WAV),
            File("a,b\n1,2\n", name="table.csv"),
            Link("https://example.org/", name="docs", description="where it is told"),
            File(b"\x00\xff", name="plot.png"),
        ]
    if what == "nested":
        twice = Image(PNG, name="plot.png")
        return {
            "plot": Plot("dataclass", twice),
            "again": twice,
            "report": Report(pages=2, attachment=File("text", name="report.txt")),
        }
    if what == "enveloped":
        return SuccessResult(data=Image(PNG, name="plot.png"))
    if what == "large":
        return [File(b"\0" * (5 << 20), name="large.bin"), Image(PNG)]
    if what == "missing":
        return File(path="/nowhere/at all")
    if what == "hostile":
        return File("x", name="../../escape")
    if what == "no image":
        return Image(b"text")
    return [Image(PNG), object()]


@command
def shows(what: str, path: str = "") -> Any:
    """Answer with contents at once."""
    return results(what, path)


@command(use_queue=True, inline_wait=30)
def makes(what: str, path: str = "") -> Any:
    """Answer with contents from a job."""
    return results(what, path)


@command(use_queue=True)
def keeps(artifacts: dict[str, str], gate: str | None = None, *, job: Job) -> list[str]:
    """Keep a text under each name, then wait for a file."""
    addresses = [job.artifact(name, text) for name, text in artifacts.items()]
    job.set_description("kept")
    if gate is not None:
        _wait_for(gate, job)
    return addresses


@command(use_queue=True)
def keeps_bytes(name: str, size: int, *, job: Job) -> None:
    """Keep that many bytes."""
    job.artifact(name, bytes(range(256)) * (size // 256), title="Many bytes")


@command(use_queue=True)
def keeps_file(name: str, path: str, *, job: Job) -> None:
    """Keep a copy of a file."""
    job.artifact(name, Path(path), mime_type="text/x-log")


@command(use_queue=True)
def keeps_in_turn(under: str, gate: str, *, job: Job) -> None:
    """Replace an artifact by another type until the gate opens."""
    for turn in range(100_000):
        if Path(gate).exists() or job.stopping:
            break
        text = turn % 2 == 0
        data = b"text " * 1000 if text else b"\x00\xff" * 1000
        job.artifact(under, data, mime_type="text/plain" if text else "application/x-odd")


@command(use_queue=True, max_attempts=2)
def keeps_and_dies(gate: str, *, job: Job) -> int:
    """Lose the first attempt with what it kept."""
    if job.attempt == 1:
        job.artifact("first", "of the first attempt")
        job.set_description("kept")
        _wait_for(gate, job)
        os.kill(os.getpid(), signal.SIGKILL)
    job.artifact("second", "of the second attempt")
    return job.attempt


@command
def keeps_nothing(*, job: Job) -> str:
    """A plain command has nowhere to keep it."""
    return job.artifact("name", "text")


@command(use_queue=True, inline_wait=30)
def prints(lines: list[str], fail: bool = False) -> str:
    """Print to both streams, and fail if it shall."""
    for line in lines:
        print(line)
        print("err", line, file=sys.stderr)
    if fail:
        raise ValueError("failed as asked")
    return "printed"


@command(use_queue=True)
def adds(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@command(use_queue=True, inline_wait=30)
def prints_much(lines: int) -> str:
    """Print numbered lines, each hundredth of them marked."""
    for n in range(lines):
        print(f"line {n}" + (" MARK" if n % 100 == 0 else ""))
    return "x" * lines
