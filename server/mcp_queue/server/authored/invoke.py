"""Calls of authors' functions in this process, within a request: commands, prompts, resources."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from mcp_queue.commands.calling import function_of, injected
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import QueueError
from mcp_queue.server.authored.containment import call, error_text, log_check_failure, log_exception
from mcp_queue.server.authored.progress import reporting
from mcp_queue.server.protocol.eras import declares_tasks

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcp_queue.commands.definition import Definition
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services

CONTENTS = "mcp_queue.commands.contents"  # loaded only if an author's code uses images, files, ...


async def invoke(
    services: Services, info: Definition, arguments: dict[str, Any], context: Context
) -> Any:
    """Validate the arguments, call the function and return its result.

    A function without async runs in a thread. Raises the function's exceptions as `Exception`
    (`containment`), InvalidParamsError, and InputNeeded when it asks the person and the client has
    to call again.
    """
    schema = schema_of(info)
    values = schema.call_arguments(arguments)
    if "job" not in schema.inject.values():
        return await _run(services, info, values | injected(schema.inject, queue=services.queue))
    tasks = services.tasks if declares_tasks(context) else None
    async with reporting(context, _asked_values(info, arguments, context), tasks) as job:
        objects = injected(schema.inject, job=job, queue=services.queue)
        return await _run(services, info, values | objects)


@contextmanager
def protocol_errors(info: Definition) -> Generator[None]:
    """Turn exceptions of an author's prompt or resource into protocol errors.

    Errors that are meant for the client stay as they are.
    """
    try:
        yield
    except QueueError as error:
        log_check_failure(info, error)
        raise
    except MCPError:
        raise
    except Exception as error:  # noqa: BLE001 - an author's function may raise anything
        log_exception(repr(info.name), error)
        message = f"{info.name!r} failed: {error_text(error)}"
        raise MCPError(INTERNAL_ERROR, message) from None


async def _run(services: Services, info: Definition, values: dict[str, Any]) -> Any:
    def make() -> Any:
        return function_of(info)(**values)

    return await call(info.parameters_of, make, services.threads)


def _asked_values(
    info: Definition, arguments: dict[str, Any], context: Context
) -> dict[str, Any] | None:
    """The values that the person gave for `ask_for`; None if there are none.

    If the command asks too, the client calls again, and the next request needs these values.
    """
    if not isinstance(info, CommandInfo) or not info.ask_for or context.params is None:
        return None
    from_client: dict[str, Any] = context.params.get("arguments") or {}
    names = [name for name in info.ask_for if name in arguments and from_client.get(name) is None]
    return {"arguments": {name: arguments[name] for name in names}} if names else None
