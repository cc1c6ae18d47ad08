"""Call a command from Python, as a client would call it."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from mcp_queue.commands.calling import function_of, injected
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.commands.job import Job, Sink
from mcp_queue.global_manager import get_global_queue_manager
from mcp_queue.views import handle

if TYPE_CHECKING:
    from mcp_queue.manager.queue_manager import QueueManager


async def execute_command(
    name: str, params: dict[str, Any] | None = None, *, manager: QueueManager | None = None
) -> Any:
    """Call a command, or one of the ``queue_*`` tools. A queued command returns its handle, any
    other its result.

    ``manager``: by default the global one. A command that is not queued needs none. Raises
    `CommandNotFoundError`, `InvalidParamsError`, and any exception of the command.
    """
    from mcp_queue import builtin
    from mcp_queue.commands.schema import schema_of

    builtin.register(catalog)
    info = catalog.get(name)
    if info.use_queue:
        queue = manager or get_global_queue_manager()
        return handle(await queue.submit(info, params or {}))
    schema = schema_of(info)
    arguments = schema.call_arguments(params or {})
    injected_kinds = schema.inject.values()
    queue = (manager or get_global_queue_manager()) if "queue" in injected_kinds else None
    arguments |= injected(schema.inject, job=Job("", 1, Sink()), queue=queue)
    return await _call(function_of(info), arguments)


async def _call(function: Any, arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    value = await asyncio.to_thread(function, **arguments)
    return await value if hasattr(value, "__await__") else value
