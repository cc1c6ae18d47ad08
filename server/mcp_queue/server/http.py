"""Streamable HTTP on loopback: the same handlers for any number of clients, at ``/mcp``.

Clients of the handshake era have sessions, each with a loop and streams of its own; a request of
2026-07-28 stands alone. Nobody is asked for a name, so what comes through a browser from foreign
pages is refused by its ``Host`` or ``Origin`` (DNS rebinding). Standard input and the process that
started this one mean nothing here: a signal ends the server.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import CONNECTION_CLOSED, HEADER_MISMATCH
from starlette.applications import Starlette
from starlette.routing import Route

from mcp_queue import builtin
from mcp_queue.commands.catalog import registry
from mcp_queue.server import event_loop
from mcp_queue.server.app import build, opened
from mcp_queue.server.lifetime import Ending, Watchdog, end_on_signals, ignore_signals
from mcp_queue.server.listening import url_of
from mcp_queue.server.protocol import is_modern
from mcp_queue.server.resumption import RETRY, Sessions

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from mcp.server.context import CallNext, HandlerResult
    from starlette.requests import Request

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.config import Settings
    from mcp_queue.server.protocol import Context

PATH = "/mcp"
LET_GO = 0.3  # seconds for open requests to end when the end has begun
ANSWER = 0.05  # seconds for their answers to be written
FLUSH = 0.2  # seconds for clients to read what is on its way after that
DATE = 1.0  # seconds between two updates of the header ``Date``
TASK_METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})


def run(settings: Settings, listener: socket.socket, status: int = 0) -> None:
    """Serve all commands of the registry, the built-in ones added, until the end; see ``serve``."""
    builtin.register(registry)
    try:
        event_loop.run(partial(serve, settings, registry, listener, status))
    finally:
        ignore_signals()


async def serve(
    settings: Settings, catalog: Catalog, listener: socket.socket, status: int = 0
) -> None:
    """Serve clients that connect to ``listener`` until a signal ends it, within one second."""
    ending = Ending(Watchdog(status))
    end_on_signals(ending, nohup=True)
    async with opened(settings, catalog) as state, anyio.create_task_group() as tasks:
        tasks.start_soon(state.hub.end_with, ending)
        server, requests = build(state), OpenRequests()
        server.middleware[:0] = [requests.serve, compare_task_name]
        sessions = Sessions(server, security_settings=allowed(listener), retry_interval=RETRY)
        app = Starlette(routes=[Route(PATH, endpoint=StreamableHTTPASGIApp(sessions))])
        async with sessions.run():
            print(f"mcp-queue: serving on {url_of(listener)}", file=sys.stderr, flush=True)
            await _Web(app, ending, requests).serve([listener])


def allowed(listener: socket.socket) -> TransportSecuritySettings:
    """The names of this machine, with any port: it may be forwarded."""
    bound = url_of(listener).removeprefix("http://").rpartition(":")[0]
    names = dict.fromkeys(("localhost", "127.0.0.1", "[::1]", bound))
    hosts = [host for name in names for host in (name, f"{name}:*")]
    return TransportSecuritySettings(
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts],
    )


async def compare_task_name(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: ``Mcp-Name`` names the task (SEP-2663), or the request is refused.

    The SDK compares the header for the methods of the core protocol alone.
    """
    task_id = (ctx.params or {}).get("taskId")
    http: Request | None = ctx.request
    if http is None or task_id is None or ctx.method not in TASK_METHODS or not is_modern(ctx):
        return await call_next(ctx)
    if decode_header_value(http.headers.get(MCP_NAME_HEADER)) != task_id:
        message = f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        raise MCPError(HEADER_MISMATCH, message)
    return await call_next(ctx)


class OpenRequests:
    """The requests that are being served, to be ended all at once."""

    def __init__(self) -> None:
        self._scopes: dict[anyio.CancelScope, str] = {}
        self._fewer = anyio.Event()

    async def serve(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: an error for what is ended first. The hub ends subscriptions, with a result.

        A handler that the SDK itself cancels, at the end of a session, takes a second for that.
        """
        with anyio.CancelScope() as scope:
            self._scopes[scope] = ctx.method
            try:
                return await call_next(ctx)
            finally:
                del self._scopes[scope]
                self._fewer.set()
        raise MCPError(CONNECTION_CLOSED, "The server has ended")

    async def end(self) -> None:
        """End all that are open now, and give their answers time to be written."""
        for scope, method in self._scopes.items():
            if method != "subscriptions/listen":
                scope.cancel()
        with anyio.move_on_after(LET_GO):
            while self._scopes:
                self._fewer = anyio.Event()
                await self._fewer.wait()
        await anyio.sleep(ANSWER)


class _Web(uvicorn.Server):
    """Uvicorn, ended by our ``ending`` instead of its own signal handlers."""

    def __init__(self, app: Any, ending: Ending, requests: OpenRequests) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )
        self._ending = ending
        self._requests = requests

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        ended = False
        while not ended:
            await self.on_tick(0)
            with anyio.move_on_after(DATE):
                await self._ending.wait()
                ended = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is open, then let go of the clients as if they had gone."""
        for server in self.servers:
            server.close()
        await self._requests.end()
        for connection in list(self.server_state.connections):
            connection.transport.close()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=FLUSH)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
