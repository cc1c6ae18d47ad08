"""What an author's code raises ends its own call, and nothing else.

Functions of authors, the checks of their types and the making of JSON from what they return may
raise anything: `SystemExit`, `GeneratorExit`, an exception group, a panic of Rust code. All of it
leaves `called`, `in_thread` and `attempt` as an `Exception`. What is ours passes as it is: the
cancelling of the request, and `InputNeeded`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from mcp_queue import forked
from mcp_queue.errors import CheckFailedError, QueueError, cause_of
from mcp_queue.server.protocol.eras import InputNeeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.commands.definition import Definition

    T = TypeVar("T")

MESSAGE_LIMIT = 2000  # characters of an exception's text

CALLER: ContextVar[asyncio.Task[Any] | None] = ContextVar("mcp_queue_caller", default=None)
"""The task of the request within which an author's code runs, and whatever that starts."""

log = logging.getLogger(__name__)


class AuthorError(Exception):
    """Stands for an ``error`` that is no `Exception`, or that no coroutine may raise."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(said(error))


async def called(
    function: Callable[..., Any], make: Callable[[], Any], threads: anyio.CapacityLimiter
) -> Any:
    """The outcome of ``make()``, which calls ``function``: in the event loop if that is async,
    else in a thread, which goes on by itself when the request is cancelled.

    Raises what it raises as an `Exception`; `InputNeeded` and cancellation pass.
    """
    process, task = os.getpid(), asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    token = CALLER.set(task)
    try:
        value = make() if iscoroutinefunction(function) else await in_thread(make, threads)
        if hasattr(value, "__await__"):
            value = await value
    except BaseException as error:
        _leave_fork(process, error)
        if passes_handlers(error):
            raise
        await _undo_cancel(task, cancelled)
        if (outcome := contained(error)) is error:
            raise
        raise outcome from None
    finally:
        CALLER.reset(token)
    _leave_fork(process, None)
    await _undo_cancel(task, cancelled)
    return value


async def in_thread(function: Callable[[], T], threads: anyio.CapacityLimiter) -> T:
    """What ``function`` returns, in a thread that a cancelled request does not wait for.

    Raises what it raises as an `Exception`; `InputNeeded` passes.
    """
    value, error = await anyio.to_thread.run_sync(
        lambda: _outcome(function), abandon_on_cancel=True, limiter=threads
    )
    if error is not None:
        raise error
    return value  # pyright: ignore[reportReturnType] (there is one where there is no error)


def attempt(function: Callable[[], T]) -> T:
    """What ``function`` returns, at once. Raises what it raises as an `Exception`."""
    value, error = _outcome(function)
    if error is not None:
        raise error
    return value  # pyright: ignore[reportReturnType] (as above)


def contained(error: BaseException) -> BaseException:
    """``error`` as an `Exception` that may leave a coroutine; `InputNeeded` as it is, also out of
    a group of nothing else (an author asked within a task group)."""
    if (needed := _needed(error)) is not None:
        return needed
    # A coroutine that raises StopIteration raises a RuntimeError that says nothing (PEP 479).
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return AuthorError(error)


def _needed(error: BaseException) -> InputNeeded | None:
    if isinstance(error, InputNeeded):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    parts: tuple[BaseException, ...] = error.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found = [needed for part in parts if (needed := _needed(part)) is not None]
    return found[0] if len(found) == len(parts) else None


def passes_handlers(error: BaseException) -> bool:
    """Whether the handlers of a request have to let it through: it ends the request itself."""
    return _is_closing(error) or _is_cancelled(error)


def said(error: BaseException) -> str:
    """An exception of an author's as a text for the client."""
    if isinstance(error, AuthorError):
        error = error.error
    if isinstance(error, asyncio.CancelledError) and not error.args:
        return "CancelledError: the call was cancelled from within"
    return cause_of(error)[:MESSAGE_LIMIT]


def note(what: str, error: BaseException) -> None:
    """Write the traceback of an author's exception to the log, whatever the log is made of."""
    cause = error.error if isinstance(error, AuthorError) else error
    try:
        log.error("%s failed", what, exc_info=cause)
    except BaseException:  # noqa: BLE001 - handlers and streams may be an author's, too
        return


def note_check(info: Definition, error: QueueError) -> None:
    """`note` what an author's check of parameters raised, if that is what ``error`` tells of."""
    if isinstance(error, CheckFailedError) and error.__cause__ is not None:
        note(f"Checking the parameters of {info.name!r}", error.__cause__)


def _outcome(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """No exception crosses a thread's future: that takes some for its own, and refuses others."""
    process = os.getpid()
    try:
        value = function()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is an outcome
        _leave_fork(process, error)
        return None, contained(error)
    _leave_fork(process, None)
    return value, None


def _is_closing(error: BaseException) -> bool:
    """Whether the coroutine was closed where it waits, and nobody raised it."""
    trace = error.__traceback__
    return isinstance(error, GeneratorExit) and (trace is None or trace.tb_next is None)


def _is_cancelled(error: BaseException) -> bool:
    """Whether it is the cancelling of the request, not a task's that an author cancelled.

    All that cancels requests are cancel scopes; the deadline of one that was cancelled is past.
    """
    return (
        isinstance(error, asyncio.CancelledError)
        and anyio.current_effective_deadline() == -math.inf
    )


async def _undo_cancel(task: asyncio.Task[Any] | None, before: int) -> None:
    """Undo what a function did that cancelled the task it runs in, which is the request's."""
    if task is None or task.cancelling() <= before:
        return
    if anyio.current_effective_deadline() == -math.inf:
        return
    try:
        await asyncio.sleep(0)  # where a cancel that was not yet delivered arrives
    except asyncio.CancelledError as error:
        if _is_cancelled(error):
            raise
    while task.cancelling() > before:
        task.uncancel()


def _leave_fork(process: int, error: BaseException | None) -> None:
    """In a child that a function forked and that came back here: end, as a script would.

    It must not go on as a second server: it has the client's descriptors.
    """
    if os.getpid() != process:
        forked.leave(error)
