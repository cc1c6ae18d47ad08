"""The stdio transport: messages over the descriptors that ``claim`` took.

No thread stands between the descriptors and the event loop where they can be polled, so that a
client that stops reading holds up nothing but its own answers.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import anyio
from mcp.shared.dispatcher import as_request_id, coerce_request_id
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from mcp_queue.server.transport.batches import Batches
from mcp_queue.server.transport.claim import Claimed, claim
from mcp_queue.server.transport.descriptors import Input, Output
from mcp_queue.server.transport.framing import LINE_LIMIT, Lines, MalformedError, decode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp_types import JSONRPCMessage

    from mcp_queue.server.transport.lifetime import Ending

__all__ = ["Claimed", "Streams", "claim", "stdio_streams"]

PATIENCE = 0.2  # seconds for the answers to what was asked before the end of the input
FAREWELL = 0.1  # seconds for the end of each stream to be said, when a signal ends the server
FLUSH = 0.3  # seconds for the client to read what is left after that
UNREAD = 256  # open requests at which a client that does not read gets no more of them served
OPEN = 10_000  # open requests of a client; a further one is refused
STREAMS = frozenset({"subscriptions/listen"})  # requests that last until someone ends them


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
        self._to_client: MemoryObjectSendStream[Any] = write.clone()  # lines as bytes, too
        self.streams = Streams(read, write)
        self.written = anyio.Event()
        self._held = 0  # bytes read and not yet served
        self._open: set[str | int] = set()
        self._streams: set[str | int] = set()
        self._batches = Batches()
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
            while self._open or self._streams:
                await self._changed.wait()

    async def _serve(self, line: bytes | None) -> None:
        if (values := self._batches.split(line)) is not None:
            messages, answer = self._batches.begin(values)
            await self._answer(answer)
            for message in messages:
                await self._hand_on(message)
            return
        try:
            message = decode(line)
        except MalformedError as malformed:
            await self._to_client.send(SessionMessage(malformed.answer))
        else:
            await self._hand_on(message)

    async def _hand_on(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest) and len(self._open) + len(self._streams) >= OPEN:
            await self._to_client.send(SessionMessage(_one_too_many(message)))
            return
        cancelled = self._note_inbound(message)
        await self._to_server.send(SessionMessage(message))
        if cancelled is not None:
            await self._answer(self._batches.cancelled(cancelled))

    async def _answer(self, line: bytes) -> None:
        if line:
            await self._to_client.send(line)

    async def write(self) -> None:
        """Write each message, and be done when the server is or when time is up."""
        try:
            with self._writing, self._from_server:
                async for item in cast("AsyncIterable[SessionMessage | bytes]", self._from_server):
                    message = None if isinstance(item, bytes) else item.message
                    line = item if isinstance(item, bytes) else self._batches.outgoing(item.message)
                    self._stuck = True
                    await self._output.write(line)
                    self._stuck = False
                    self._note_outbound(message)
        except OSError:  # the client closed its end: nobody is left to answer
            self._ending.begin()
        self.written.set()

    async def close_down(self) -> None:
        """End reading, then writing, once the end has begun."""
        await self._ending.wait()
        now = anyio.current_time()
        patience = PATIENCE if self._at_end else 0.0
        if self._streams:
            patience = max(patience, FAREWELL)
        self._writing.deadline = now + patience + FLUSH
        self._feeding.deadline = now + patience
        self._pumping.deadline = now + (patience if self._at_end else 0.0)

    def close(self) -> None:
        for stream in (self._to_feed, self._lines, self._to_server, *self.streams):
            stream.close()
        self._from_server.close()
        self._to_client.close()
        self._input.close()
        self._output.close()

    def _note_inbound(self, message: JSONRPCMessage) -> str | int | None:
        """Keep count of what is open; gives the id of a request that ``message`` cancels."""
        self._batches.note_inbound(message)
        if isinstance(message, JSONRPCRequest):
            kind = self._streams if message.method in STREAMS else self._open
            kind.add(coerce_request_id(message.id))
        elif (
            isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled"
        ):
            cancelled = as_request_id((message.params or {}).get("requestId"))
            if cancelled is not None:
                self._settle(cancelled)
            return cancelled
        return None

    def _note_outbound(self, message: JSONRPCMessage | None) -> None:
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._settle(message.id)
        self._change()

    def _settle(self, request_id: str | int) -> None:
        """An answered or a cancelled request is awaited no more; to the SDK, "7" is 7."""
        self._open.discard(coerce_request_id(request_id))
        self._streams.discard(coerce_request_id(request_id))

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _one_too_many(message: JSONRPCRequest) -> JSONRPCError:
    text = f"This client has {OPEN:,} requests open; wait for answers, or cancel some"
    return JSONRPCError(
        jsonrpc="2.0", id=message.id, error=ErrorData(code=INTERNAL_ERROR, message=text)
    )
