"""Exceptions of an author's code end the call that raised them, and nothing else.

Authors' functions, the checks of their types and the conversion of their results to JSON may raise
anything: `SystemExit`, `GeneratorExit`, an exception group, a panic of Rust code. `call`,
`in_thread` and `contained` raise all of it as an `Exception`. Two exceptions pass unchanged, since
they are the server's own: the cancellation of the request, and `InputNeeded`.
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

REQUEST_TASK: ContextVar[asyncio.Task[Any] | None] = ContextVar(
    "mcp_queue_request_task", default=None
)
"""The task of the request in which an author's code runs. Tasks that the code starts inherit it."""

log = logging.getLogger(__name__)


class AuthorError(Exception):
    """Replaces an ``error`` that is no `Exception`, or that a coroutine cannot raise."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(error_text(error))


async def call(
    function: Callable[..., Any], make: Callable[[], Any], threads: anyio.CapacityLimiter
) -> Any:
    """The result of ``make()``, which calls ``function``.

    An async function runs in the event loop, another one in a thread, which goes on when the
    request is cancelled. Every exception is raised as an `Exception`; `InputNeeded` and the
    cancellation of the request pass unchanged.
    """
    process, task = os.getpid(), asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    token = REQUEST_TASK.set(task)
    try:
        value = make() if iscoroutinefunction(function) else await in_thread(make, threads)
        if hasattr(value, "__await__"):
            value = await value
    except BaseException as error:
        _leave_fork(process, error)
        if ends_request(error):
            raise
        await _undo_cancel(task, cancelled)
        if (outcome := as_exception(error)) is error:
            raise
        raise outcome from None
    finally:
        REQUEST_TASK.reset(token)
    _leave_fork(process, None)
    await _undo_cancel(task, cancelled)
    return value


async def in_thread(function: Callable[[], T], threads: anyio.CapacityLimiter) -> T:
    """Run ``function`` in a thread; a cancelled request does not wait for it.

    Every exception is raised as an `Exception`; `InputNeeded` passes unchanged.
    """
    value, error = await anyio.to_thread.run_sync(
        lambda: _outcome(function), abandon_on_cancel=True, limiter=threads
    )
    if error is not None:
        raise error
    return value  # pyright: ignore[reportReturnType] (without an error there is a value)


def contained(function: Callable[[], T]) -> T:
    """Run ``function`` in this thread. Every exception is raised as an `Exception`."""
    value, error = _outcome(function)
    if error is not None:
        raise error
    return value  # pyright: ignore[reportReturnType] (as above)


def as_exception(error: BaseException) -> BaseException:
    """``error`` as an `Exception` that a coroutine can raise.

    `InputNeeded` stays as it is, and replaces an exception group that contains nothing else (an
    author asked within a task group).
    """
    if (needed := _input_needed(error)) is not None:
        return needed
    # Python would replace a StopIteration from a coroutine by a RuntimeError (PEP 479).
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return AuthorError(error)


def _input_needed(error: BaseException) -> InputNeeded | None:
    if isinstance(error, InputNeeded):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    parts: tuple[BaseException, ...] = error.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found = [needed for part in parts if (needed := _input_needed(part)) is not None]
    return found[0] if len(found) == len(parts) else None


def ends_request(error: BaseException) -> bool:
    """Whether this exception ends the request itself, so that handlers must not catch it."""
    return _is_closing(error) or _is_cancelled(error)


def error_text(error: BaseException) -> str:
    """The text of an author's exception for the client."""
    if isinstance(error, AuthorError):
        error = error.error
    if isinstance(error, asyncio.CancelledError) and not error.args:
        return "CancelledError: the call was cancelled from within"
    return cause_of(error)[:MESSAGE_LIMIT]


def log_exception(what: str, error: BaseException) -> None:
    """Write the traceback of an author's exception to the log. Never raises."""
    cause = error.error if isinstance(error, AuthorError) else error
    try:
        log.error("%s failed", what, exc_info=cause)
    except BaseException:  # noqa: BLE001 - an author may have replaced log handlers and streams
        return


def log_check_failure(info: Definition, error: QueueError) -> None:
    """Log the exception behind ``error`` if an author's check of parameters raised it."""
    if isinstance(error, CheckFailedError) and error.__cause__ is not None:
        log_exception(f"Checking the parameters of {info.name!r}", error.__cause__)


def _outcome(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """The value or the exception, as a pair.

    A thread's future cannot carry all exceptions: it reserves some and refuses others.
    """
    process = os.getpid()
    try:
        value = function()
    except BaseException as error:  # noqa: BLE001 - every exception is an outcome
        _leave_fork(process, error)
        return None, as_exception(error)
    _leave_fork(process, None)
    return value, None


def _is_closing(error: BaseException) -> bool:
    """Whether Python closed the coroutine while it waited, so that no code raised this."""
    trace = error.__traceback__
    return isinstance(error, GeneratorExit) and (trace is None or trace.tb_next is None)


def _is_cancelled(error: BaseException) -> bool:
    """Whether the request was cancelled, and not a task that an author cancelled.

    Requests are cancelled by cancel scopes only, and a cancelled scope has a deadline in the past.
    """
    return (
        isinstance(error, asyncio.CancelledError)
        and anyio.current_effective_deadline() == -math.inf
    )


async def _undo_cancel(task: asyncio.Task[Any] | None, before: int) -> None:
    """Undo the cancellations that a function requested of the request's task, in which it ran."""
    if task is None or task.cancelling() <= before:
        return
    if anyio.current_effective_deadline() == -math.inf:
        return
    try:
        await asyncio.sleep(0)  # receives a cancellation that was requested and not yet delivered
    except asyncio.CancelledError as error:
        if _is_cancelled(error):
            raise
    while task.cancelling() > before:
        task.uncancel()


def _leave_fork(process: int, error: BaseException | None) -> None:
    """End this process, as a script would end, if it is a child that the function forked.

    A child must not go on as a second server: it has the client's descriptors.
    """
    if os.getpid() != process:
        forked.leave(error)
