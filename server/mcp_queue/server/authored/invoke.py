"""Calling what an author wrote in this process, within a request: commands, prompts, resources."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from mcp_queue.commands.calling import function_of, injected
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import QueueError
from mcp_queue.server.authored.containment import called, note, note_check, said
from mcp_queue.server.authored.progress import reporting
from mcp_queue.server.protocol.eras import declares_tasks

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcp_queue.commands.definition import Definition
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.state import State

CONTENTS = "mcp_queue.commands.contents"  # imported by who makes images, files and the like


async def invoke(
    state: State, info: Definition, arguments: dict[str, Any], context: Context
) -> Any:
    """Validate, call, and return what the function returned; a thread runs what is not async.

    Raises what the function raises as an `Exception` (`containment`), InvalidParamsError, and
    InputNeeded when it asks and the client has to call again.
    """
    schema = schema_of(info)
    values = schema.call_arguments(arguments)
    if "job" not in schema.inject.values():
        return await _run(state, info, values | injected(schema.inject, queue=state.queue))
    tasks = state.tasks if declares_tasks(context) else None
    async with reporting(context, _filled_in(info, arguments, context), tasks) as job:
        given = injected(schema.inject, job=job, queue=state.queue)
        return await _run(state, info, values | given)


@contextmanager
def protocol_errors(info: Definition) -> Generator[None]:
    """Makes a protocol error of what an author's function raises, for all but a tool's call.

    Errors that are meant for the client stay as they are.
    """
    try:
        yield
    except QueueError as error:
        note_check(info, error)
        raise
    except MCPError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it raised
        note(repr(info.name), error)
        message = f"{info.name!r} failed: {said(error)}"
        raise MCPError(INTERNAL_ERROR, message) from None


async def _run(state: State, info: Definition, values: dict[str, Any]) -> Any:
    def make() -> Any:
        return function_of(info)(**values)

    return await called(info.parameters_of, make, state.threads)


def _filled_in(
    info: Definition, arguments: dict[str, Any], context: Context
) -> dict[str, Any] | None:
    """What `ask_for` has asked for, for the request that follows if the command asks too."""
    if not isinstance(info, CommandInfo) or not info.ask_for or context.params is None:
        return None
    given: dict[str, Any] = context.params.get("arguments") or {}
    names = [name for name in info.ask_for if name in arguments and given.get(name) is None]
    return {"arguments": {name: arguments[name] for name in names}} if names else None
