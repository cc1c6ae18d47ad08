"""The server: its handlers, and one connection over standard input and output, start to end."""

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
from mcp_queue.commands.catalog import registry
from mcp_queue.manager import QueueManager
from mcp_queue.server import event_loop
from mcp_queue.server.authored.containment import note, passes_handlers
from mcp_queue.server.features.resources import Resources
from mcp_queue.server.features.subscriptions import Subscriptions
from mcp_queue.server.features.tasks import TaskParams, Tasks, UpdateParams
from mcp_queue.server.features.tools import Tools, catch_no_object
from mcp_queue.server.following.hub import Hub
from mcp_queue.server.icon import ICON
from mcp_queue.server.instructions import INSTRUCTIONS
from mcp_queue.server.protocol.bounds import bounded
from mcp_queue.server.protocol.eras import TASKS
from mcp_queue.server.protocol.lean import LeanServer
from mcp_queue.server.state import State
from mcp_queue.server.transport.claim import claim
from mcp_queue.server.transport.lifetime import (
    Ending,
    Watchdog,
    end_on_signals,
    end_with_parent,
    ignore_signals,
)
from mcp_queue.server.transport.stdio import stdio_streams
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.server.context import CallNext, HandlerResult

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.config import Settings
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.transport.claim import Claimed

CLOSE = 0.4  # seconds for the manager to leave in order, within the limit of the whole end

log = logging.getLogger(__name__)


def run(settings: Settings, claimed: Claimed, status: int = 0) -> None:
    """Serve all commands of the registry, the built-in ones added, until the end; see ``serve``."""
    builtin.register(registry)
    try:
        event_loop.run(partial(serve, settings, registry, claimed=claimed, status=status))
    finally:
        ignore_signals()


async def serve(
    settings: Settings,
    catalog: Catalog,
    *,
    claimed: Claimed | None = None,
    status: int = 0,
) -> None:
    """Serve one client over standard input and output until it, its process or a signal ends it.

    ``claimed`` are the streams that ``claim`` took before any user code was imported.
    This process is over within one second after the end has begun, and signals that ask for it
    do nothing any more. ``status`` is its exit status where it has to be ended by force.
    """
    ending = Ending(Watchdog(status))
    end_on_signals(ending)
    async with opened(settings, catalog) as state, anyio.create_task_group() as tasks:
        tasks.start_soon(end_with_parent, ending)
        tasks.start_soon(state.hub.end_with, ending)
        async with stdio_streams(claimed or claim(), ending) as streams:
            server = build(state)
            await server.run(streams.read, streams.write, server.create_initialization_options())
        tasks.cancel_scope.cancel()


def build(state: State) -> LeanServer:
    """The MCP server with all its handlers, for any number of connections."""
    tools, resources = Tools(state), Resources(state)
    subscriptions, tasks = Subscriptions(state), Tasks(state)
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
        on_list_prompts=_late("prompts", "listed", state),
        on_get_prompt=_late("prompts", "got", state),
        on_completion=_late("completion", "complete", state),
    )
    server.extensions = {TASKS: {}}
    server.add_request_handler("tasks/get", TaskParams, tasks.get)
    server.add_request_handler("tasks/update", UpdateParams, tasks.update)
    server.add_request_handler("tasks/cancel", TaskParams, tasks.cancel)
    # Without OpenTelemetry's, a cost per message.
    server.middleware[:] = [contain, bounded, catch_no_object]
    return server


def _late(module: str, function: str, state: State) -> Any:
    """A handler whose module is imported when it is first needed."""

    async def handler(context: Context, params: object) -> Any:
        handlers = import_module(f"mcp_queue.server.features.{module}")
        return await getattr(handlers, function)(state, context, params)

    return handler


async def contain(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: no exception leaves a handler, whatever it is, and nothing internal reaches the
    client."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except BaseException as error:
        if passes_handlers(error):
            raise
        note(ctx.method, error)
        raise MCPError(INTERNAL_ERROR, "Internal error; the server's log says more") from None


@asynccontextmanager
async def opened(settings: Settings, catalog: Catalog) -> AsyncGenerator[State]:
    """What the handlers share, at work until the end of the block."""
    queue = await QueueManager.open(settings)
    try:
        async with anyio.create_task_group() as tasks:
            state = State(catalog, queue, Hub(queue))
            tasks.start_soon(state.hub.run)
            yield state
            tasks.cancel_scope.cancel()
    finally:
        # In-memory jobs end without us waiting: their supervisor sees to it.
        with anyio.move_on_after(CLOSE, shield=True):
            await queue.close(wait=False)
