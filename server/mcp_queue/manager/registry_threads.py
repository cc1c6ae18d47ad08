"""The registry for an event loop: one thread reads, one writes, each with its own connection.

A write that waits for another process's write delays no read, and neither delays the event loop.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from mcp_queue.errors import QueueClosedError
from mcp_queue.jobs.damage import open_or_begin_anew
from mcp_queue.jobs.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class RegistryThreads:
    """Runs functions of a `Registry` off the event loop, in order within each thread.

    Raises `QueueClosedError` once it is closed.
    """

    def __init__(self) -> None:
        self._reader = ThreadPoolExecutor(1, "registry-read")
        self._writer = ThreadPoolExecutor(1, "registry-write")
        self._read_from: Registry | None = None
        self._write_to: Registry | None = None

    async def open(self, path: str) -> None:
        """Open both connections, the writer's first: it makes a missing or damaged file anew."""
        loop = asyncio.get_running_loop()
        try:
            self._write_to = await loop.run_in_executor(self._writer, open_or_begin_anew, path)
            self._read_from = await loop.run_in_executor(self._reader, Registry, path)
        except BaseException:
            self.close()
            raise

    async def read(
        self, function: Callable[Concatenate[Registry, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of a function that only reads."""
        registry = self._read_from
        if registry is None:
            raise QueueClosedError
        return await asyncio.get_running_loop().run_in_executor(
            self._reader, lambda: function(registry, *args, **kwargs)
        )

    async def write(
        self, function: Callable[Concatenate[Registry, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of a function that writes. Cancelling the wait does not undo the write."""
        registry = self._write_to
        if registry is None:
            raise QueueClosedError
        return await asyncio.get_running_loop().run_in_executor(
            self._writer, lambda: function(registry, *args, **kwargs)
        )

    def close(self, *, wait: bool = True) -> None:
        """Close the connections after the queued calls; ``wait`` for that if asked."""
        for executor, registry in (
            (self._reader, self._read_from),
            (self._writer, self._write_to),
        ):
            if registry is not None:
                executor.submit(registry.close)
            executor.shutdown(wait=wait)
        self._read_from = self._write_to = None
