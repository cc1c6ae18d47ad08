"""The server's event loop, which ends with the server alone.

A task or callback that an author's code leaves in it may raise `SystemExit` or `KeyboardInterrupt`,
which asyncio lets through to whoever runs the loop, or may stop the loop. Both would end the
server, with all its clients.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from mcp_queue.server.containment import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    T = TypeVar("T")

if sys.platform == "win32":
    _Base = asyncio.ProactorEventLoop
else:
    _Base = asyncio.SelectorEventLoop


class ServerLoop(_Base):
    """Goes on until what it runs is done, whatever else happens in it."""

    def run_until_complete(self, future: Any) -> Any:
        main = asyncio.ensure_future(future, loop=self)
        while True:
            try:
                return super().run_until_complete(main)
            except BaseException as error:
                if main.done():
                    raise
                note("What runs beside the calls", error)


def run(serve: Callable[[], Awaitable[T]]) -> T:
    """Run ``serve()`` in a loop of its own, until it returns or raises."""
    return anyio.run(serve, backend_options={"loop_factory": ServerLoop})
