"""The server's event loop, which ends with the server alone.

A task or callback that an author's code leaves in it may raise `SystemExit` or `KeyboardInterrupt`,
which asyncio lets through to whoever runs the loop, or may stop the loop, or cancel every task that
it finds. Each would end the server, with all its clients.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from mcp_queue.server.authored.containment import CALLER, note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    T = TypeVar("T")

if sys.platform == "win32":
    _Base = asyncio.ProactorEventLoop
else:
    _Base = asyncio.SelectorEventLoop


class ServerTask(asyncio.Task[Any]):
    """Code of an author cancels the tasks that it started, and its request's, but no others."""

    def __init__(self, coro: Any, **options: Any) -> None:
        self._is_authors = CALLER.get() is not None
        super().__init__(coro, **options)

    def cancel(self, msg: Any | None = None) -> bool:
        caller = CALLER.get()
        if caller is not None and not self._is_authors and caller is not self:
            return False
        return super().cancel(msg)


def _task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> ServerTask:
    return ServerTask(coro, loop=loop, **options)


class ServerLoop(_Base):
    """Goes on until what it runs is done, whatever else happens in it."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(_task)

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
