"""The stdio transport: messages over the descriptors that ``claim`` took.

No thread stands between the descriptors and the event loop where they can be polled, so that a
client that stops reading holds up nothing but its own answers.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_queue.server.claim import Claimed, claim
from mcp_queue.server.descriptors import Input, Output
from mcp_queue.server.framing import LINE_LIMIT, Lines, MalformedError, decode, encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp_types import JSONRPCMessage

    from mcp_queue.server.lifetime import Ending

__all__ = ["Claimed", "Streams", "claim", "stdio_streams"]

PATIENCE = 0.2  # seconds for the answers to what was asked before the end of the input
FLUSH = 0.3  # seconds for the client to read what is left after that
UNREAD = 256  # open requests at which a client that does not read gets no more of them served
ENDLESS = frozenset({"subscriptions/listen"})  # requests that are never waited for


class Streams(NamedTuple):
    """What the SDK serves: messages from the client, and messages to it."""

    read: MemoryObjectReceiveStream[SessionMessage | Exception]
    write: MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def stdio_streams(claimed: Claimed, ending: Ending) -> AsyncGenerator[Streams]:
    """Connect the client until ``ending`` has begun; its end of input begins it.

    After that the read stream ends, and what the client has not read within ``FLUSH`` seconds is
    dropped. The descriptors are closed on the way out.
    """
    connection = _Connection(claimed, ending)
    try:
        async with anyio.create_task_group() as tasks:
            for task in (connection.pump, connection.feed, connection.write, connection.close_down):
                tasks.start_soon(task)
            yield connection.streams
            ending.begin()
            await connection.written.wait()
            tasks.cancel_scope.cancel()
    finally:
        connection.close()


class _Connection:
    def __init__(self, claimed: Claimed, ending: Ending) -> None:
        self._input, self._output = Input(claimed.input), Output(claimed.output)
        self._ending = ending
        self._at_end = False
        self._pumping, self._feeding = anyio.CancelScope(), anyio.CancelScope()
        self._writing = anyio.CancelScope()
        self._to_feed, self._lines = anyio.create_memory_object_stream[bytes | None](float("inf"))
        self._to_server, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, self._from_server = anyio.create_memory_object_stream[SessionMessage](0)
        self._to_client = write.clone()
        self.streams = Streams(read, write)
        self.written = anyio.Event()
        self._held = 0  # bytes read and not yet served
        self._open: set[str | int] = set()
        self._stuck = False
        self._changed = anyio.Event()  # set, and replaced, when one of the three above changes

    async def pump(self) -> None:
        """Read the descriptor, so that its end is seen even while nothing can be served."""
        lines = Lines()
        with self._pumping, self._to_feed:
            while data := await self._input.read():
                for line in lines.feed(data):
                    if line is None or line.strip():
                        self._held += len(line or b"")
                        self._to_feed.send_nowait(line)
                while self._held > LINE_LIMIT:
                    await self._changed.wait()
            self._at_end = True
            self._ending.begin()

    async def feed(self) -> None:
        """Hand each line to the server, or answer it here."""
        with self._feeding, self._to_server, self._to_client, self._lines:
            async for line in self._lines:
                while self._stuck and len(self._open) >= UNREAD:
                    await self._changed.wait()
                try:
                    await self._serve(line)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return
                self._held -= len(line or b"")
                self._change()
            while self._open:
                await self._changed.wait()

    async def _serve(self, line: bytes | None) -> None:
        try:
            message = decode(line)
        except MalformedError as malformed:
            await self._to_client.send(SessionMessage(malformed.answer))
        else:
            self._note_inbound(message)
            await self._to_server.send(SessionMessage(message))

    async def write(self) -> None:
        """Write each message, and be done when the server is or when time is up."""
        try:
            with self._writing, self._from_server:
                async for item in self._from_server:
                    self._stuck = True
                    await self._output.write(encode(item.message))
                    self._stuck = False
                    self._note_outbound(item.message)
        except OSError:  # the client closed its end: nobody is left to answer
            self._ending.begin()
        self.written.set()

    async def close_down(self) -> None:
        """End reading, then writing, once the end has begun."""
        await self._ending.wait()
        patience = PATIENCE if self._at_end else 0.0
        self._writing.deadline = anyio.current_time() + patience + FLUSH
        self._pumping.deadline = self._feeding.deadline = anyio.current_time() + patience

    def close(self) -> None:
        for stream in (self._to_feed, self._lines, self._to_server, *self.streams):
            stream.close()
        self._from_server.close()
        self._to_client.close()
        self._input.close()
        self._output.close()

    def _note_inbound(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest) and message.method not in ENDLESS:
            self._open.add(message.id)
        elif (
            isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled"
        ):
            cancelled = (message.params or {}).get("requestId")
            if isinstance(cancelled, str | int):
                self._open.discard(cancelled)

    def _note_outbound(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._open.discard(message.id)
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
