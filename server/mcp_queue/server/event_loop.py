"""The server's event loop, which runs until the server ends, whatever an author's code does.

An author's code may leave a task or callback in the loop that raises `SystemExit` or
`KeyboardInterrupt` (asyncio passes both to the caller of the loop), stops the loop, or cancels all
tasks that it finds. Each of these would end the server for all clients.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from mcp_queue.server.authored.containment import REQUEST_TASK, log_exception

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    T = TypeVar("T")

if sys.platform == "win32":
    _Base = asyncio.ProactorEventLoop
else:
    _Base = asyncio.SelectorEventLoop


class ServerTask(asyncio.Task[Any]):
    """A task that an author's code can cancel only if it started it, or if it is its request's."""

    def __init__(self, coro: Any, **options: Any) -> None:
        self._is_authors = REQUEST_TASK.get() is not None
        super().__init__(coro, **options)

    def cancel(self, msg: Any | None = None) -> bool:
        caller = REQUEST_TASK.get()
        if caller is not None and not self._is_authors and caller is not self:
            return False
        return super().cancel(msg)


def _task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> ServerTask:
    return ServerTask(coro, loop=loop, **options)


class ServerLoop(_Base):
    """A loop that runs until its main task is done, whatever else is raised in it."""

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
                log_exception("What runs beside the calls", error)


def run(serve: Callable[[], Awaitable[T]]) -> T:
    """Run ``serve()`` in a new loop until it returns or raises."""
    return anyio.run(serve, backend_options={"loop_factory": ServerLoop})
