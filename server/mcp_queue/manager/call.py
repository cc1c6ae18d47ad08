"""Call a command as a client would, from Python."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from mcp_queue.commands.catalog import registry
from mcp_queue.manager.global_manager import get_global_queue_manager

if TYPE_CHECKING:
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager.queue_manager import QueueManager


async def execute_command(
    name: str, params: dict[str, Any] | None = None, *, manager: QueueManager | None = None
) -> Any:
    """The handle of a queued command, the result of any other; the ``queue_*`` tools included.

    ``manager``: the global one unless given; a command that is not queued needs none. Errors:
    `CommandNotFoundError`, `InvalidParamsError`, and what the command raises.
    """
    from mcp_queue import builtin
    from mcp_queue.commands.schema import schema_of

    builtin.register(registry)
    info = registry.get(name)
    if info.use_queue:
        queue = manager or get_global_queue_manager()
        return handle(await queue.submit(info, params or {}))
    schema = schema_of(info)
    arguments = schema.call_arguments(params or {})
    for parameter, what in schema.inject.items():
        if what == "queue":
            arguments[parameter] = manager or get_global_queue_manager()
        elif what == "job":
            arguments[parameter] = _silent_job()
        else:
            arguments[parameter] = None
    return await _called(info.target().execute if info.is_class else info.target, arguments)


def handle(record: JobRecord) -> dict[str, Any]:
    """What a queued call answers with at once."""
    return {
        "success": True,
        "job_id": record.job_id,
        "status": record.status,
        "message": f"Command '{record.command}' has been queued for execution",
    }


async def _called(function: Any, arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    value = await asyncio.to_thread(function, **arguments)
    return await value if hasattr(value, "__await__") else value


def _silent_job() -> Any:
    from mcp_queue.commands.job import Job

    class Silent:
        def progress(self, percent: float | None, description: str | None) -> None: ...

        def log(self, line: str) -> None:
            import sys

            from mcp_queue.printable import printable

            print(printable(line, lines=True), file=sys.stderr)

        def stopping(self) -> bool:
            return False

    return Job("", 1, Silent())
