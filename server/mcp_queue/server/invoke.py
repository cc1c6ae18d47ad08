"""Calling what an author wrote in this process, within a request: commands, prompts, resources."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import QueueError
from mcp_queue.server.progress import reporting
from mcp_queue.server.protocol import declares_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol import Context
    from mcp_queue.server.state import State

MESSAGE_LIMIT = 2000  # characters of an exception's text
CONTENTS = "mcp_queue.commands.contents"  # imported by who makes images, files and the like

log = logging.getLogger(__name__)


async def invoke(
    state: State, info: CommandInfo, arguments: dict[str, Any], context: Context
) -> Any:
    """Validate, call, and return what the function returned; a thread runs what is not async.

    Raises what the function raises, InvalidParamsError, and InputNeeded when it asks and the client
    has to call again.
    """
    schema = schema_of(info)
    values = schema.call_arguments(arguments)
    function = info.target().execute if info.is_class else info.target
    for name, what in schema.inject.items():
        if what == "queue":
            values[name] = state.queue
        elif what == "context":
            values[name] = None  # no caller of a tool gives one
    jobs = [name for name, what in schema.inject.items() if what == "job"]
    if not jobs:
        return await _run(state, function, values)
    tasks = state.tasks if declares_tasks(context) else None
    async with reporting(context, _filled_in(info, arguments, context), tasks) as job:
        return await _run(state, function, values | dict.fromkeys(jobs, job))


def said(error: BaseException) -> str:
    """An exception of an author's as a text for the client."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ is the author's own
        text = ""
    return (f"{name}: {text}" if text else name)[:MESSAGE_LIMIT]


@contextmanager
def protocol_errors(info: CommandInfo) -> Generator[None]:
    """Makes a protocol error of what an author's function raises, for all but a tool's call.

    Errors that are meant for the client stay as they are.
    """
    try:
        yield
    except (QueueError, MCPError):
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _internal(info, error) from None
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        log.exception("%s failed", info.name)
        raise _internal(info, error) from None


def _internal(info: CommandInfo, error: BaseException) -> MCPError:
    return MCPError(INTERNAL_ERROR, f"{info.name!r} failed: {said(error)}")


async def _run(state: State, function: Callable[..., Any], values: dict[str, Any]) -> Any:
    if iscoroutinefunction(function):
        return await function(**values)
    outcome = await anyio.to_thread.run_sync(
        lambda: function(**values), abandon_on_cancel=True, limiter=state.threads
    )
    return await outcome if hasattr(outcome, "__await__") else outcome


def _filled_in(
    info: CommandInfo, arguments: dict[str, Any], context: Context
) -> dict[str, Any] | None:
    """What `ask_for` has asked for, for the request that follows if the command asks too."""
    if not info.ask_for or context.params is None:
        return None
    given: dict[str, Any] = context.params.get("arguments") or {}
    names = [name for name in info.ask_for if name in arguments and given.get(name) is None]
    return {"arguments": {name: arguments[name] for name in names}} if names else None
