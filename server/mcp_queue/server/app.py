"""The server: its handlers, and one connection over standard input and output."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from pydantic import ValidationError

from mcp_queue import builtin
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.manager import QueueManager
from mcp_queue.server import event_loop
from mcp_queue.server.authored.containment import ends_request, log_exception
from mcp_queue.server.features.resources import Resources
from mcp_queue.server.features.subscriptions import Subscriptions
from mcp_queue.server.features.tasks import TaskParams, Tasks, UpdateParams
from mcp_queue.server.features.tools import Tools, catch_no_object
from mcp_queue.server.following.notifier import Notifier
from mcp_queue.server.icon import ICON
from mcp_queue.server.instructions import INSTRUCTIONS
from mcp_queue.server.protocol.bounds import bounded
from mcp_queue.server.protocol.eras import TASKS
from mcp_queue.server.protocol.lean import LeanServer
from mcp_queue.server.services import Services
from mcp_queue.server.transport.lifetime import (
    Shutdown,
    Watchdog,
    end_on_signals,
    end_with_parent,
    ignore_signals,
)
from mcp_queue.server.transport.standard_streams import take_standard_streams
from mcp_queue.server.transport.stdio import stdio_streams
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.server.context import CallNext, HandlerResult

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.config import Settings
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.transport.standard_streams import StandardStreams

CLOSE = 0.4  # seconds for the queue manager to close, within the limit for the whole shutdown

log = logging.getLogger(__name__)


def run(settings: Settings, descriptors: StandardStreams, status: int = 0) -> None:
    """Add the built-in commands to the global catalog and serve all commands; see ``serve``."""
    builtin.register(catalog)
    try:
        event_loop.run(partial(serve, settings, catalog, descriptors=descriptors, status=status))
    finally:
        ignore_signals()


async def serve(
    settings: Settings,
    catalog: Catalog,
    *,
    descriptors: StandardStreams | None = None,
    status: int = 0,
) -> None:
    """Serve one client over standard input and output until it, its process or a signal ends it.

    ``descriptors``: the result of `take_standard_streams`, called before any user code was
    imported. The process exits within one second after the shutdown begins; further signals have
    no effect. ``status``: the exit status if the process has to be ended by force.
    """
    shutdown = Shutdown(Watchdog(status))
    end_on_signals(shutdown)
    async with open_services(settings, catalog) as services, anyio.create_task_group() as tasks:
        tasks.start_soon(end_with_parent, shutdown)
        tasks.start_soon(services.notifier.end_with, shutdown)
        async with stdio_streams(descriptors or take_standard_streams(), shutdown) as streams:
            server = build(services)
            await server.run(streams.read, streams.write, server.create_initialization_options())
        tasks.cancel_scope.cancel()


def build(services: Services) -> LeanServer:
    """The MCP server with all its handlers, for any number of connections."""
    tools, resources = Tools(services), Resources(services)
    subscriptions, tasks = Subscriptions(services), Tasks(services)
    server = LeanServer(
        "mcp-queue",
        version=__version__,
        title="MCP Queue",
        description="Long-running tools as jobs: status, logs, results, stop",
        icons=[ICON],
        instructions=INSTRUCTIONS,
        on_list_tools=tools.list,
        on_call_tool=cast("Any", tools.call),  # a task goes out as a plain dict
        on_list_resources=resources.list,
        on_list_resource_templates=resources.templates,
        on_read_resource=resources.read,
        on_subscribe_resource=subscriptions.subscribe,
        on_unsubscribe_resource=subscriptions.unsubscribe,
        on_subscriptions_listen=subscriptions.listen,
        on_list_prompts=_lazy("prompts", "list_prompts", services),
        on_get_prompt=_lazy("prompts", "get_prompt", services),
        on_completion=_lazy("completion", "complete", services),
    )
    server.extensions = {TASKS: {}}
    server.add_request_handler("tasks/get", TaskParams, tasks.get)
    server.add_request_handler("tasks/update", UpdateParams, tasks.update)
    server.add_request_handler("tasks/cancel", TaskParams, tasks.cancel)
    # This drops the SDK's OpenTelemetry middleware, which costs time for each message.
    server.middleware[:] = [contain, bounded, catch_no_object]
    return server


def _lazy(module: str, function: str, services: Services) -> Any:
    """A handler that imports its module at the first call."""

    async def handler(context: Context, params: object) -> Any:
        handlers = import_module(f"mcp_queue.server.features.{module}")
        return await getattr(handlers, function)(services, context, params)

    return handler


async def contain(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: turn any other exception of a handler into an error without internal details."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except BaseException as error:
        if ends_request(error):
            raise
        log_exception(ctx.method, error)
        raise MCPError(INTERNAL_ERROR, "Internal error; the server's log says more") from None


@asynccontextmanager
async def open_services(settings: Settings, catalog: Catalog) -> AsyncGenerator[Services]:
    """The services that the handlers share. They run until the end of the block."""
    queue = await QueueManager.open(settings)
    try:
        async with anyio.create_task_group() as tasks:
            services = Services(catalog, queue, Notifier(queue))
            tasks.start_soon(services.notifier.run)
            yield services
            tasks.cancel_scope.cancel()
    finally:
        # The supervisor ends in-memory jobs, so there is no need to wait for them.
        with anyio.move_on_after(CLOSE, shield=True):
            await queue.close(wait=False)
