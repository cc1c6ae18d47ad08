"""Streamable HTTP on loopback: the same handlers for any number of clients, at ``/mcp``.

Clients of the handshake era have sessions, each with a loop and streams of its own; a request of
2026-07-28 stands alone. Who may come in is decided for each request, before it is read
(`entrance`). Standard input and the process that started this one mean nothing here: a signal ends
the server.
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
from mcp_queue.commands.catalog import registry
from mcp_queue.printable import as_message
from mcp_queue.server import event_loop
from mcp_queue.server.app import build, opened
from mcp_queue.server.protocol.eras import is_modern
from mcp_queue.server.transport import bearer
from mcp_queue.server.transport.entrance import Entrance
from mcp_queue.server.transport.lifetime import Ending, Watchdog, end_on_signals, ignore_signals
from mcp_queue.server.transport.listening import BACKLOG, bound_to, place_of
from mcp_queue.server.transport.resumption import RETRY, Sessions
from mcp_queue.server.transport.strangers import Strangers
from mcp_queue.system import ours

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from mcp.server.context import CallNext, HandlerResult
    from starlette.requests import Request

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.config import Settings
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.transport.listening import Door

WITHOUT = "every user and program of this machine can run its commands, with your rights"
LET_GO = 0.3  # seconds for open requests to end when the end has begun
ANSWER = 0.05  # seconds for their answers to be written
FLUSH = 0.2  # seconds for clients to read what is on its way after that
DATE = 1.0  # seconds between two updates of the header ``Date``
TASK_METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})


def run(settings: Settings, door: Door, status: int = 0) -> None:
    """Serve all commands of the registry, the built-in ones added, until the end; see ``serve``."""
    builtin.register(registry)
    try:
        event_loop.run(partial(serve, settings, registry, door, status))
    finally:
        ignore_signals()


async def serve(settings: Settings, catalog: Catalog, door: Door, status: int = 0) -> None:
    """Serve clients that come through ``door`` until a signal ends it, within one second."""
    ending = Ending(Watchdog(status))
    end_on_signals(ending, nohup=True)
    with open_for(door) as token:
        async with opened(settings, catalog) as state, anyio.create_task_group() as tasks:
            tasks.start_soon(state.hub.end_with, ending)
            server, requests = build(state), OpenRequests()
            server.middleware[:0] = [requests.serve, compare_task_name]
            # Without security settings, the SDK leaves names and pages to the entrance.
            sessions = Sessions(server, retry_interval=RETRY)
            secret = None if token is None else token.value
            app = Entrance(StreamableHTTPASGIApp(sessions), bound_to(door.listener), secret)
            async with sessions.run():
                announce(door, token)
                await _Web(app, ending, requests).serve([door.listener])


@contextmanager
def open_for(door: Door) -> Generator[bearer.Token | None]:
    """The token that clients show. Its file, or the socket, goes at the end of the block."""
    bound = bound_to(door.listener)
    with ExitStack() as ends:
        if bound is None:
            path = door.listener.getsockname()
            ends.callback(ours.remove_made, path, os.lstat(path))
        if door.asks and door.given is None:
            assert bound is not None
            yield ends.enter_context(bearer.in_file(bound))
        else:
            yield door.given


def announce(door: Door, token: bearer.Token | None) -> None:
    """Say where the server is, and where its token."""
    if token is not None:
        _say(f"clients send the token of {token.where} as 'Authorization: Bearer TOKEN'")
        if sys.stderr.isatty() and door.given is None:
            _say(f"the token is {token.value}")
    elif bound_to(door.listener) is None:
        _say("the socket is for you alone, so no token is asked for")
    else:
        _say(f"no token is asked for: {WITHOUT}")
    _say(f"serving on {place_of(door.listener)}")


def _say(line: str) -> None:
    print(f"mcp-queue: {as_message(line)}", file=sys.stderr, flush=True)


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
                http=Strangers().protocol,  # pyright: ignore[reportArgumentType]
                ws="none",
                lifespan="off",
                backlog=BACKLOG,
                log_config=None,
                log_level="error",  # what is no HTTP is no news, and anybody can send it
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
