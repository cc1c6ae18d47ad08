"""Calling a plain command: in this process, within the request."""

from __future__ import annotations

import asyncio
import sys
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp_types import CallToolResult

from mcp_queue.builtin import Envelope
from mcp_queue.commands.results import ErrorResult, SuccessResult
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import QueueError
from mcp_queue.server.progress import reporting
from mcp_queue.server.protocol import declares_tasks
from mcp_queue.server.results import (
    NotSerializableError,
    error_shape,
    errors_are_text_only,
    failure,
    success,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_types import ContentBlock

    from mcp_queue.commands.contents import Shown
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol import Context
    from mcp_queue.server.state import State

THREADS = 32  # plain commands without async that run at once
_CHECK = "{!r} raised it; check the arguments."
_CONTENTS = "mcp_queue.commands.contents"  # imported by who makes contents
MESSAGE_LIMIT = 2000  # characters of an exception's text


class PlainCalls:
    """Calls plain commands; whatever one raises becomes an error result."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._threads = anyio.CapacityLimiter(THREADS)

    async def call(
        self, info: CommandInfo, arguments: dict[str, Any], context: Context
    ) -> CallToolResult:
        """Validate, call, and answer with what the command returned.

        Raises InputNeeded when it asks and the client has to call again.
        """
        try:
            with anyio.fail_after(info.timeout):
                value = await self._call(info, arguments, context)
            if isinstance(value, Envelope):
                return await self._envelope(value, context)
            if _CONTENTS in sys.modules:  # it may hold files that are to be read
                return await self._with_contents(info, value, context)
            return _answer(info, value)
        except QueueError as error:
            shape = error_shape(error.code, error.message, error.hint)
        except NotSerializableError as error:
            shape = error_shape(
                "result_not_serializable",
                f"The result of {info.name!r} cannot be written as JSON: {error}",
                "The command returned it; its author has to return JSON values.",
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            shape = error_shape(
                "exception", f"{info.name!r} was cancelled from within", _CHECK.format(info.name)
            )
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - all of them
            shape = _raised(info, error)
        return failure(shape, text_only=errors_are_text_only(info))

    async def _envelope(self, value: Envelope, context: Context) -> CallToolResult:
        result = success(value)
        if value.record is not None and value.record.artifact_count:
            from mcp_queue.server import contents

            result.content += await contents.of_job(context, self._state.queue, value.record)
        return result

    async def _with_contents(
        self, info: CommandInfo, value: Any, context: Context
    ) -> CallToolResult:
        from mcp_queue.server import contents

        blocks: list[ContentBlock] = []
        shown = contents.of_value(context, blocks)
        result = await anyio.to_thread.run_sync(
            lambda: _answer(info, value, shown), limiter=self._threads
        )
        result.content += blocks
        return result

    async def _call(self, info: CommandInfo, arguments: dict[str, Any], context: Context) -> Any:
        schema = schema_of(info)
        values = schema.call_arguments(arguments)
        function = info.target().execute if info.is_class else info.target
        for name, what in schema.inject.items():
            if what == "queue":
                values[name] = self._state.queue
            elif what == "context":
                values[name] = None  # no caller of a tool gives one
        jobs = [name for name, what in schema.inject.items() if what == "job"]
        if not jobs:
            return await self._run(function, values)
        tasks = self._state.tasks if declares_tasks(context) else None
        async with reporting(context, _filled_in(info, arguments, context), tasks) as job:
            return await self._run(function, values | dict.fromkeys(jobs, job))

    async def _run(self, function: Callable[..., Any], values: dict[str, Any]) -> Any:
        if iscoroutinefunction(function):
            return await function(**values)
        outcome = await anyio.to_thread.run_sync(
            lambda: function(**values), abandon_on_cancel=True, limiter=self._threads
        )
        return await outcome if hasattr(outcome, "__await__") else outcome


def _filled_in(
    info: CommandInfo, arguments: dict[str, Any], context: Context
) -> dict[str, Any] | None:
    """What `ask_for` has asked for, for the request that follows if the command asks too."""
    if not info.ask_for or context.params is None:
        return None
    given: dict[str, Any] = context.params.get("arguments") or {}
    names = [name for name in info.ask_for if name in arguments and name not in given]
    return {"arguments": {name: arguments[name] for name in names}} if names else None


def _answer(info: CommandInfo, value: Any, shown: Shown | None = None) -> CallToolResult:
    if isinstance(value, CallToolResult):
        return value
    if isinstance(value, ErrorResult):
        return failure(value.to_dict(), text_only=errors_are_text_only(info))
    if isinstance(value, SuccessResult):
        return success(value.to_dict(), shown=shown)
    return success({"result": value}, shown=shown)


def _raised(info: CommandInfo, error: BaseException) -> dict[str, Any]:
    if isinstance(error, TimeoutError) and info.timeout is not None:
        return error_shape(
            "timeout",
            f"{info.name!r} did not answer within {info.timeout:g} s",
            "Try smaller work; long work belongs into a queued command.",
        )
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ is the command's own
        text = ""
    return error_shape(
        "exception",
        (f"{name}: {text}" if text else name)[:MESSAGE_LIMIT],
        _CHECK.format(info.name),
    )
