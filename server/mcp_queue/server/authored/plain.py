"""Calls of plain commands: in this process, within the request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import CallToolResult
from pydantic_core import from_json

from mcp_queue.commands.results import ErrorResult, SuccessResult
from mcp_queue.errors import QueueError
from mcp_queue.server.authored.containment import (
    contained,
    error_text,
    in_thread,
    log_check_failure,
    log_exception,
)
from mcp_queue.server.authored.invoke import CONTENTS, invoke
from mcp_queue.server.protocol.results import (
    error_shape,
    errors_are_text_only,
    failure,
    json_result,
    success,
)
from mcp_queue.values import NotJsonError, to_json
from mcp_queue.views import Envelope

if TYPE_CHECKING:
    from mcp_types import ContentBlock

    from mcp_queue.commands.contents import ContentEncoder
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services

RAISED = "{!r} raised it; the traceback is in the server's log (standard error)."


class PlainCalls:
    """Calls plain commands and turns their exceptions into error results."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def call(
        self, info: CommandInfo, arguments: dict[str, Any], context: Context
    ) -> CallToolResult:
        """Validate the arguments, call the command and answer with its result.

        Raises InputNeeded when it asks the person and the client has to call again.
        """
        try:
            value: Any = None
            with anyio.move_on_after(info.timeout) as limit:
                value = await invoke(self._services, info, arguments, context)
            if limit.cancelled_caught:
                return _failed(info, _timeout(info))
            if issubclass(type(value), Envelope):  # isinstance would call code of the value
                return await self._envelope(value, context)
            if CONTENTS in sys.modules:  # the value may contain files, which are read in a thread
                return await self._with_contents(info, value, context)
            return contained(lambda: _answer(info, value))
        except QueueError as error:
            log_check_failure(info, error)
            shape = error_shape(error.code, error.message, error.hint)
        except NotJsonError as error:
            shape = error_shape(
                "result_not_serializable",
                f"The result of {info.name!r} cannot be written as JSON: {error}",
                "The command returned it; its author has to return JSON values.",
            )
        except Exception as error:  # noqa: BLE001 - a command may raise anything
            log_exception(repr(info.name), error)
            shape = error_shape("exception", error_text(error), RAISED.format(info.name))
        return _failed(info, shape)

    async def _envelope(self, value: Envelope, context: Context) -> CallToolResult:
        result = success(value)
        result.is_error = value.get("success") is False
        if value.record is not None and value.record.artifact_count:
            from mcp_queue.server.protocol import contents

            result.content += await contents.job_blocks(context, self._services.queue, value.record)
        return result

    async def _with_contents(
        self, info: CommandInfo, value: Any, context: Context
    ) -> CallToolResult:
        from mcp_queue.server.protocol import contents

        blocks: list[ContentBlock] = []
        encoder = contents.value_blocks(context, blocks)
        result = await in_thread(lambda: _answer(info, value, encoder), self._services.threads)
        result.content += blocks
        return result


def _answer(info: CommandInfo, value: Any, encoder: ContentEncoder | None = None) -> CallToolResult:
    if isinstance(value, CallToolResult):
        return value
    if isinstance(value, ErrorResult):
        return _failed(info, from_json(to_json(value.to_dict(), "result", encoder)))
    if isinstance(value, SuccessResult):
        return json_result(to_json(value.to_dict(), "result", encoder))
    return json_result(f'{{"result":{to_json(value, "result", encoder)}}}')


def _failed(info: CommandInfo, shape: dict[str, Any]) -> CallToolResult:
    return failure(shape, text_only=errors_are_text_only(info))


def _timeout(info: CommandInfo) -> dict[str, Any]:
    return error_shape(
        "timeout",
        f"{info.name!r} did not answer within {info.timeout:g} s",
        "Try smaller work; long work belongs into a queued command.",
    )
