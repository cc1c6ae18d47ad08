"""Commands, prompts and resources that raise whatever they are asked to, and end other things."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import concurrent.futures.process
import contextlib
import contextvars
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import anyio
import anyio.from_thread
import anyio.to_thread
from pydantic import BaseModel, BeforeValidator, PlainSerializer

from mcp_queue import Command, ErrorResult, Job, SuccessResult, command, prompt, resource

KNOWN = (builtins, asyncio, anyio, concurrent.futures, contextlib, contextvars)
ROOTS = {module.__name__.partition(".")[0] for module in KNOWN}


class PanicException(BaseException):
    """What PyO3 raises when Rust code panics."""


class Mute(BaseException):
    """It cannot even be printed."""

    def __str__(self) -> str:
        raise PanicException("no text")


OWN = {"PanicException": PanicException, "Mute": Mute}


def known() -> dict[str, type[BaseException]]:
    """Every exception that the standard library's modules here and anyio know, by name."""
    found: dict[str, type[BaseException]] = dict(OWN)
    left: list[type[BaseException]] = [BaseException]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.partition(".")[0] in ROOTS:
            found[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return found


def made(name: str) -> BaseException:
    """One of them."""
    kind = known()[name]
    if issubclass(kind, UnicodeDecodeError):
        return kind("utf-8", b"\xff", 0, 1, "why")
    if issubclass(kind, UnicodeEncodeError):
        return kind("ascii", "\xff", 0, 1, "why")
    if issubclass(kind, UnicodeTranslateError):
        return kind("\xff", 0, 1, "why")
    if issubclass(kind, ExceptionGroup):
        return kind("why", [ValueError("inner"), kind("deep", [KeyError("deeper")])])
    if issubclass(kind, BaseExceptionGroup):
        return kind("why", [PanicException("inner"), kind("deep", [SystemExit(3)])])
    for arguments in (("why",), (), (None, None)):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    raise AssertionError(name)


@command
def in_thread(name: str) -> str:
    raise made(name)


@command
async def in_loop(name: str) -> str:
    await asyncio.sleep(0)
    raise made(name)


class InClass(Command):
    name = "in_class"

    def execute(self, name: str) -> str:
        raise made(name)


class InConstructor(Command):
    name = "in_constructor"
    wanted = ""

    def __init__(self) -> None:
        if self.wanted:
            raise made(self.wanted)

    def execute(self) -> str:
        return "made"


@command
def constructor_raises(name: str) -> None:
    InConstructor.wanted = name


def fussy(value: Any) -> Any:
    raise made(str(value))


Fussy = Annotated[str, BeforeValidator(fussy)]


@command
def in_validator(name: Fussy) -> str:
    return name


@command(use_queue=True)
def in_validator_of_a_job(name: Fussy) -> str:
    return name


class Result(SuccessResult):
    def to_dict(self) -> dict[str, Any]:
        raise made(str(self.data))


class Failed(ErrorResult):
    def to_dict(self) -> dict[str, Any]:
        raise made(str(self.message))


@command
def in_to_dict(name: str) -> Result:
    return Result(name)


@command
def in_error(name: str) -> Failed:
    return Failed(name)


class Dumped(BaseModel):
    name: Annotated[str, PlainSerializer(fussy)]


@command
async def in_serializer(name: str) -> Dumped:
    return Dumped(name=name)


class Endless:
    """An object that raises when it is looked at as JSON."""

    def __init__(self, name: str) -> None:
        self.wanted = name

    def __iter__(self) -> Iterator[str]:
        raise made(self.wanted)

    def __getattr__(self, name: str) -> Any:
        raise made(self.wanted)


@command
def in_attribute(name: str) -> Any:
    return Endless(name)


@prompt
def prompts(name: str) -> str:
    raise made(name)


@prompt
async def prompts_in_loop(name: str) -> str:
    raise made(name)


@prompt
def prompts_with_check(name: Fussy) -> str:
    return name


@prompt
def prompts_result(name: str) -> Any:
    return [Dumped(name=name)]


@resource("raises://thread/{name}")
def reads(name: str) -> str:
    raise made(name)


@resource("raises://loop/{name}")
async def reads_in_loop(name: str) -> str:
    raise made(name)


@resource("raises://check/{name}")
def reads_with_check(name: Fussy) -> str:
    return name


@resource("raises://result/{name}")
def reads_result(name: str) -> Any:
    return Dumped(name=name)


# What ends more than a call.


@command
async def leaves_a_task_that_exits() -> str:
    async def leave() -> None:
        raise SystemExit(3)

    task = asyncio.create_task(leave())
    await asyncio.wait([task])
    return "went on"


@command
async def leaves_a_callback_that_exits() -> str:
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0)
    return "went on"


@command
async def leaves_a_task_that_is_interrupted() -> str:
    async def leave() -> None:
        raise KeyboardInterrupt

    task = asyncio.create_task(leave())
    await asyncio.wait([task])
    return "went on"


@command
async def stops_the_loop() -> str:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    return "went on"


@command
async def cancels_all_tasks() -> str:
    """The usual way to tidy up at the end of a program."""
    own = asyncio.create_task(asyncio.sleep(600))
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
    try:
        await own
    except asyncio.CancelledError:
        return "went on"
    return "its own task was not cancelled"


@command
async def cancels_itself_and_returns() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "went on"


@command
async def swallows_its_own_cancel() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    return "went on"


@command
async def cancels_itself() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return "not reached"


@command
def closes_standard_streams() -> str:
    sys.stdout.close()
    sys.stderr.close()
    print("still there")
    return "went on"


@command
def loses_standard_error() -> str:
    sys.stderr = None  # pyright: ignore[reportAttributeAccessIssue]
    return "went on"


@command
def restores_standard_error() -> str:
    sys.stderr = sys.__stderr__
    return "went on"


@command
def forks_and_returns(status: int) -> int:
    """The child comes back to the server's code, as a script's would come to its end."""
    if (child := os.fork()) == 0:
        if status:
            sys.exit(status)
        return -1
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@command
async def forks_in_the_loop() -> int:
    if (child := os.fork()) == 0:
        raise PanicException("in the child")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])  # noqa: ASYNC222


@command
async def asks_in_a_group(job: Job) -> str:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(job.ask_async("Go on?"))
    return asked.result().action


@command
async def waits() -> str:
    await asyncio.Event().wait()
    return "not reached"


@command
async def turns_a_cancel_into_a_panic() -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise PanicException("while it was cancelled") from None
    return "not reached"


@command
def fine(n: int) -> int:
    return n + 1
