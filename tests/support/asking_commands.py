"""Commands that ask the person."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mcp_queue import AskTimeoutError, Job, JobStoppedError, Question, QueueJobBase, command

NUMBERS = {"n": int}


@command(use_queue=True)
def confirms(*, job: Job) -> list[Any]:
    """Ask for a yes."""
    job.set_progress(10, "before")
    answer = job.ask("Go on?")
    job.set_progress(20, "after")
    return [bool(answer), answer.action, answer.content]


@command(use_queue=True)
async def confirms_async(*, job: Job) -> list[Any]:
    """Ask for a yes, and go on working while nobody answers."""
    worked = 0

    async def work() -> None:
        nonlocal worked
        while True:
            worked += 1
            job.set_progress(min(worked, 50))
            await asyncio.sleep(0.001)

    working = asyncio.create_task(work())
    answer = await job.ask_async("Go on?")
    working.cancel()
    return [bool(answer), answer.action, worked > 1]


@command(use_queue=True)
def asks_many(*, job: Job) -> dict[str, Any]:
    """Ask two questions at once, and then another."""
    both = job.ask_all(
        {
            "name": Question("Your name?", {"name": str, "age": int | None}),
            "colour": Question("A colour?", {"colour": Literal["red", "blue"]}),
        }
    )
    return {key: [answer.action, answer.content] for key, answer in both.items()} | {
        "again": job.ask("Once more?").action
    }


@command(use_queue=True)
async def asks_in_tasks(*, job: Job) -> list[int]:
    """Two tasks ask, each for itself."""
    answers = await asyncio.gather(*(job.ask_async(f"Number {n}?", NUMBERS) for n in range(2)))
    return [answer.content["n"] for answer in answers]


@command(use_queue=True)
def asks_in_threads(*, job: Job) -> list[int]:
    """Two threads ask, each for itself."""
    found: dict[int, int] = {}

    def ask(n: int) -> None:
        found[n] = job.ask(f"Number {n}?", NUMBERS).content["n"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[0], found[1]]


@command(use_queue=True)
def gives_up(seconds: float, *, job: Job) -> list[Any]:
    """Ask twice at once, wait for some time, and ask again."""
    questions = {"a": Question("A?", NUMBERS), "b": Question("B?")}
    try:
        job.ask_all(questions, timeout=seconds)
    except AskTimeoutError as error:
        late = {key: answer.content for key, answer in error.answers.items()}
        return [str(error), late, job.ask("Still there?").action]
    return []


@command(use_queue=True)
async def gives_up_async(seconds: float, *, job: Job) -> None:
    """Ask, and let the time-out be the end."""
    await job.ask_async("Anybody?", timeout=seconds)


@command(use_queue=True)
def catches_the_stop(path: str, *, job: Job) -> str:
    """Tidy up when a stop is asked while it waits."""
    try:
        job.ask("Go on?")
    except JobStoppedError:
        Path(path).write_text("tidied up")
        try:
            job.ask("Really?")
        except JobStoppedError:
            return "asked no more"
    return "never"


@command(use_queue=True)
async def catches_the_stop_async(path: str, *, job: Job) -> None:
    """The same in a coroutine, which is cancelled."""
    try:
        await job.ask_async("Go on?")
    finally:
        _tidy(path)


def _tidy(path: str) -> None:
    Path(path).write_text("tidied up")


@command(use_queue=True)
def blocks_the_loop(*, job: Job) -> str:
    """A coroutine that calls what asks and waits; see its async part."""
    return asyncio.run(_blocks(job))


async def _blocks(job: Job) -> str:
    return job.ask("Go on?").action


@command(use_queue=True, max_attempts=2)
def asks_in_each_attempt(*, job: Job) -> list[Any]:
    """Ask, whichever attempt it is."""
    answer = job.ask("Go on?")
    return [job.attempt, answer.action]


@command(use_queue=True)
def asks_what_cannot_be(*, job: Job) -> None:
    """Ask for what no form knows."""
    job.ask("Where?", {"path": dict})


@command(use_queue=True)
def forges(*, job: Job) -> str:
    """Write all sorts of lines to the events, then ask in earnest."""
    folder = Path(os.readlink("/proc/self/fd/1")).parent
    good = {"key": "a1.q9.x", "message": "Forged?", "schema": {"type": "object"}}
    lines: list[str] = [
        json.dumps({"v": 1, "e": "ask", **fields})
        for fields in (
            {},
            {"questions": 7},
            {"questions": [good, None, {**good, "key": "../../x"}]},
            {"questions": [{**good, "schema": {"type": "object", "properties": {"a": []}}}]},
        )
    ]
    lines += [
        "[" * 100_000,
        '{"v":1,"e":["ask"]}',
        '{"v":1,"e":"withdraw","keys":[[]]}',
        "\x00\xff",
    ]
    lines += ['{"v":1,"e":"withdraw"}', '{"v":1,"e":"ask","questions":[1e999]}', "null", "{"]
    with (folder / "events.jsonl").open("a") as file:
        file.write("\n".join(lines) + "\n")
    return job.ask("In earnest?").action


@command(use_queue=True)
def reports_what_it_imported(*, job: Job) -> list[str]:
    """What a worker has loaded that only questions need."""
    del job
    return sorted({"mcp_queue.worker.questions", "mcp_queue.forms"} & {*sys.modules})


@command(ask_for=("user_name", "age"))
def greets(user_name: str, age: Annotated[int, Field(gt=0)] = 3, polite: bool = True) -> str:
    """Greet somebody.

    Args:
        user_name: Whom to greet.
    """
    return f"{'Dear' if polite else 'Hey'} {user_name}, {age}"


@command(use_queue=True, ask_for=("user_name",))
def greets_later(user_name: str) -> str:
    """Greet somebody in a job."""
    return f"Dear {user_name}"


@command(ask_for=("name",))
def asks_and_asks(name: str, *, job: Job) -> str:
    """Is asked for what is missing, then asks twice."""
    return f"{name} {job.ask('Sure?').action} {job.ask('Really?').action}"


@command
def plain(*, job: Job) -> list[Any]:
    """Ask twice, without a queue."""
    sure = job.ask("Sure?")
    return [bool(sure), job.ask("How many?", NUMBERS).content]


@command
async def plain_async(path: str = "", *, job: Job) -> dict[str, Any]:
    """Ask two questions at once, without a queue."""
    both = {"a": Question("A?", NUMBERS), "b": Question("B?")}
    answers = await job.ask_all_async(both, timeout=20)
    if path:
        _tidy(path)
    return {key: answer.action for key, answer in answers.items()}


@command
async def plain_wrong(*, job: Job) -> str:
    """Would block the server."""
    return job.ask("Sure?").action


@command(use_queue=True)
def asks_for_choices(*, job: Job) -> Any:
    """Ask for a titled choice, then for several."""
    titled: dict[str, Any] = {
        "oneOf": [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}]
    }
    one = {"colour": Annotated[str, Field(json_schema_extra={**titled, "default": "b"})]}
    first = job.ask("Which colour?", one)
    second = job.ask("Which days?", {"days": list[Literal["mo", "tu"]]})
    return [first.content, second.content]


@command(use_queue=True, inline_wait=20)
def waited_for(*, job: Job) -> str:
    """Ask while the call waits."""
    return job.ask("Go on?").action


class AskingJob(QueueJobBase):
    """A job class that asks."""

    def run(self) -> None:
        self.set_mcp_result({"said": self.ask("Go on?").action})
