"""Reading and writing a descriptor from the event loop, by polling where the system allows it.

Regular files cannot be polled, and on Windows no descriptor can. There a thread waits instead. The
process can end while that thread waits.
"""

from __future__ import annotations

import os
import stat
import sys

import anyio
import anyio.to_thread

CHUNK = 1 << 16  # bytes read at once
if sys.platform == "win32":
    PIECE = 4096
else:
    import select

    PIECE = select.PIPE_BUF  # bytes that a writable descriptor always accepts without blocking


def pollable(descriptor: int) -> bool:
    """Whether the event loop can wait for this descriptor."""
    if sys.platform == "win32":
        return False
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


class Input:
    """The descriptor that the client writes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._polled = pollable(descriptor)
        self._thread = anyio.CapacityLimiter(1)

    async def read(self) -> bytes:
        """The available data, at most ``CHUNK`` bytes; empty at the end of the input."""
        try:
            while self._polled:
                await anyio.wait_readable(self._descriptor)
                try:
                    return os.read(self._descriptor, CHUNK)
                except BlockingIOError:
                    continue
            return await anyio.to_thread.run_sync(
                os.read, self._descriptor, CHUNK, abandon_on_cancel=True, limiter=self._thread
            )
        except OSError:  # a terminal that hung up
            return b""

    def close(self) -> None:
        """Close it, unless a thread may still be reading it."""
        if self._polled:
            os.close(self._descriptor)


class Output:
    """The descriptor that the client reads from."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._polled = pollable(descriptor)
        self._thread = anyio.CapacityLimiter(1)

    async def write(self, data: bytes) -> None:
        """Write all data without blocking the event loop. Raises OSError if the reader is gone."""
        rest = memoryview(data)
        while rest:
            if self._polled:
                await anyio.wait_writable(self._descriptor)
                try:
                    count = os.write(self._descriptor, rest[:PIECE])
                except BlockingIOError:
                    continue
            else:
                count = await anyio.to_thread.run_sync(
                    os.write, self._descriptor, rest, abandon_on_cancel=True, limiter=self._thread
                )
            rest = rest[count:]

    def close(self) -> None:
        """Close it, unless a thread may still be writing to it."""
        if self._polled:
            os.close(self._descriptor)
