"""Calling a plain command: in this process, within the request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import CallToolResult
from pydantic_core import from_json

from mcp_queue.commands.results import ErrorResult, SuccessResult
from mcp_queue.errors import QueueError
from mcp_queue.server.authored.containment import attempt, in_thread, note, note_check, said
from mcp_queue.server.authored.invoke import CONTENTS, invoke
from mcp_queue.server.protocol.results import (
    error_shape,
    errors_are_text_only,
    failure,
    success,
    told,
)
from mcp_queue.values import NotJsonError, to_json
from mcp_queue.views import Envelope

if TYPE_CHECKING:
    from mcp_types import ContentBlock

    from mcp_queue.commands.contents import Shown
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.state import State

RAISED = "{!r} raised it; the traceback is in the server's log (standard error)."


class PlainCalls:
    """Calls plain commands; whatever one raises becomes an error result."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def call(
        self, info: CommandInfo, arguments: dict[str, Any], context: Context
    ) -> CallToolResult:
        """Validate, call, and answer with what the command returned.

        Raises InputNeeded when it asks and the client has to call again.
        """
        try:
            value: Any = None
            with anyio.move_on_after(info.timeout) as limit:
                value = await invoke(self._state, info, arguments, context)
            if limit.cancelled_caught:
                return _failed(info, _timeout(info))
            if issubclass(type(value), Envelope):  # isinstance asks the value, too
                return await self._envelope(value, context)
            if CONTENTS in sys.modules:  # it may hold files that are to be read
                return await self._with_contents(info, value, context)
            return attempt(lambda: _answer(info, value))
        except QueueError as error:
            note_check(info, error)
            shape = error_shape(error.code, error.message, error.hint)
        except NotJsonError as error:
            shape = error_shape(
                "result_not_serializable",
                f"The result of {info.name!r} cannot be written as JSON: {error}",
                "The command returned it; its author has to return JSON values.",
            )
        except Exception as error:  # noqa: BLE001 - whatever it raised
            note(repr(info.name), error)
            shape = error_shape("exception", said(error), RAISED.format(info.name))
        return _failed(info, shape)

    async def _envelope(self, value: Envelope, context: Context) -> CallToolResult:
        result = success(value)
        result.is_error = value.get("success") is False
        if value.record is not None and value.record.artifact_count:
            from mcp_queue.server.protocol import contents

            result.content += await contents.of_job(context, self._state.queue, value.record)
        return result

    async def _with_contents(
        self, info: CommandInfo, value: Any, context: Context
    ) -> CallToolResult:
        from mcp_queue.server.protocol import contents

        blocks: list[ContentBlock] = []
        shown = contents.of_value(context, blocks)
        result = await in_thread(lambda: _answer(info, value, shown), self._state.threads)
        result.content += blocks
        return result


def _answer(info: CommandInfo, value: Any, shown: Shown | None = None) -> CallToolResult:
    if isinstance(value, CallToolResult):
        return value
    if isinstance(value, ErrorResult):
        return _failed(info, from_json(to_json(value.to_dict(), "result", shown)))
    if isinstance(value, SuccessResult):
        return told(to_json(value.to_dict(), "result", shown))
    return told(f'{{"result":{to_json(value, "result", shown)}}}')


def _failed(info: CommandInfo, shape: dict[str, Any]) -> CallToolResult:
    return failure(shape, text_only=errors_are_text_only(info))


def _timeout(info: CommandInfo) -> dict[str, Any]:
    return error_shape(
        "timeout",
        f"{info.name!r} did not answer within {info.timeout:g} s",
        "Try smaller work; long work belongs into a queued command.",
    )
