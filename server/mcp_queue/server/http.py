"""Streamable HTTP on loopback: the same handlers for any number of clients, at ``/mcp``.

Clients of the handshake era have sessions, each with its own loop and streams. Requests of
2026-07-28 are independent of each other. Each request is checked before its body is read
(`request_checks`). Only a signal ends the server; the end of standard input or of the parent
process does not.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import CONNECTION_CLOSED, HEADER_MISMATCH

from mcp_queue import builtin
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.printable import as_message
from mcp_queue.server import event_loop
from mcp_queue.server.app import build, open_services
from mcp_queue.server.protocol.eras import is_modern
from mcp_queue.server.transport import bearer_token
from mcp_queue.server.transport.connection_limit import ConnectionLimit
from mcp_queue.server.transport.lifetime import Shutdown, Watchdog, end_on_signals, ignore_signals
from mcp_queue.server.transport.listening import BACKLOG, address_of, location_of
from mcp_queue.server.transport.request_checks import RequestChecks
from mcp_queue.server.transport.resumption import RETRY, ResumableSessions
from mcp_queue.system import ours

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from mcp.server.context import CallNext, HandlerResult
    from starlette.requests import Request

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.config import Settings
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.transport.listening import Endpoint

NO_TOKEN_RISK = "every user and program of this machine can run its commands, with your rights"
CANCEL = 0.3  # seconds for open requests to end after they were cancelled
ANSWER = 0.05  # seconds to write their answers
FLUSH = 0.2  # seconds for clients to read data that is already sent
DATE = 1.0  # seconds between two updates of the header ``Date``
TASK_METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})


def run(settings: Settings, endpoint: Endpoint, status: int = 0) -> None:
    """Add the built-in commands to the global catalog and serve all commands; see ``serve``."""
    builtin.register(catalog)
    try:
        event_loop.run(partial(serve, settings, catalog, endpoint, status))
    finally:
        ignore_signals()


async def serve(settings: Settings, catalog: Catalog, endpoint: Endpoint, status: int = 0) -> None:
    """Serve HTTP clients at ``endpoint`` until a signal; then end within one second."""
    shutdown = Shutdown(Watchdog(status))
    end_on_signals(shutdown, nohup=True)
    with access_token(endpoint) as token:
        async with open_services(settings, catalog) as services, anyio.create_task_group() as tasks:
            tasks.start_soon(services.notifier.end_with, shutdown)
            server, requests = build(services), OpenRequests()
            server.middleware[:0] = [requests.serve, compare_task_name]
            # RequestChecks checks hosts and origins, so the SDK gets no security settings.
            sessions = ResumableSessions(server, retry_interval=RETRY)
            secret = None if token is None else token.value
            address = address_of(endpoint.listener)
            app = RequestChecks(StreamableHTTPASGIApp(sessions), address, secret)
            async with sessions.run():
                announce(endpoint, token)
                await _HttpServer(app, shutdown, requests).serve([endpoint.listener])


@contextmanager
def access_token(endpoint: Endpoint) -> Generator[bearer_token.Token | None]:
    """The token that clients need. The end of the block removes its file, or the Unix socket."""
    address = address_of(endpoint.listener)
    with ExitStack() as cleanup:
        if address is None:
            path = endpoint.listener.getsockname()
            cleanup.callback(ours.remove_made, path, os.lstat(path))
        if endpoint.needs_token and endpoint.token is None:
            assert address is not None
            yield cleanup.enter_context(bearer_token.stored_in_file(address))
        else:
            yield endpoint.token


def announce(endpoint: Endpoint, token: bearer_token.Token | None) -> None:
    """Print where the server listens, and where its token is."""
    if token is not None:
        _say(f"clients send the token of {token.where} as 'Authorization: Bearer TOKEN'")
        if sys.stderr.isatty() and endpoint.token is None:
            _say(f"the token is {token.value}")
    elif address_of(endpoint.listener) is None:
        _say("the socket is for you alone, so no token is asked for")
    else:
        _say(f"no token is asked for: {NO_TOKEN_RISK}")
    _say(f"serving on {location_of(endpoint.listener)}")


def _say(line: str) -> None:
    print(f"mcp-queue: {as_message(line)}", file=sys.stderr, flush=True)


async def compare_task_name(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: refuse a task request whose header ``Mcp-Name`` names another task (SEP-2663).

    The SDK compares this header only for the methods of the core protocol.
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
    """The requests that are being served; `end` ends all of them."""

    def __init__(self) -> None:
        self._scopes: dict[anyio.CancelScope, str] = {}
        self._closed_one = anyio.Event()

    async def serve(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: answer a request that `end` cancelled with an error.

        `end` leaves subscriptions alone: the notifier ends them, and they answer with a result.
        Without this, the SDK would cancel handlers at the end of a session, which takes a second.
        """
        with anyio.CancelScope() as scope:
            self._scopes[scope] = ctx.method
            try:
                return await call_next(ctx)
            finally:
                del self._scopes[scope]
                self._closed_one.set()
        raise MCPError(CONNECTION_CLOSED, "The server has ended")

    async def end(self) -> None:
        """Cancel all open requests, and give their answers time to be written."""
        for scope, method in self._scopes.items():
            if method != "subscriptions/listen":
                scope.cancel()
        with anyio.move_on_after(CANCEL):
            while self._scopes:
                self._closed_one = anyio.Event()
                await self._closed_one.wait()
        await anyio.sleep(ANSWER)


class _HttpServer(uvicorn.Server):
    """Uvicorn without its own signal handlers: our ``shutdown`` ends it."""

    def __init__(self, app: Any, shutdown: Shutdown, requests: OpenRequests) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=ConnectionLimit().protocol,  # pyright: ignore[reportArgumentType]
                ws="none",
                lifespan="off",
                backlog=BACKLOG,
                log_config=None,
                log_level="error",  # below that, any program could fill the log with invalid HTTP
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )
        self._shutdown = shutdown
        self._requests = requests

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        stopping = False
        while not stopping:
            await self.on_tick(0)
            with anyio.move_on_after(DATE):
                await self._shutdown.wait()
                stopping = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the open requests, then close all connections."""
        for server in self.servers:
            server.close()
        await self._requests.end()
        for connection in list(self.server_state.connections):
            connection.transport.close()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=FLUSH)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
