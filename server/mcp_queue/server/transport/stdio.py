"""The stdio transport: messages over the descriptors that `take_standard_streams` took.

Descriptors that can be polled are read and written in the event loop, without threads. So a client
that stops reading delays only its own answers.
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
from mcp_queue.server.transport.descriptors import Input, Output
from mcp_queue.server.transport.framing import LINE_LIMIT, Lines, MalformedError, decode
from mcp_queue.server.transport.standard_streams import StandardStreams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp_types import JSONRPCMessage

    from mcp_queue.server.transport.lifetime import Shutdown

PATIENCE = 0.2  # seconds to answer requests that arrived before the end of the input
FAREWELL = 0.1  # seconds to answer open subscriptions when a signal ends the server
FLUSH = 0.3  # seconds for the client to read the remaining data after that
UNREAD = 256  # open requests after which a client that does not read gets no further ones served
OPEN = 10_000  # open requests of a client; further ones are refused
LONG_LIVED_METHODS = frozenset({"subscriptions/listen"})  # open until they are ended


class Streams(NamedTuple):
    """The SDK's side of the connection: messages from the client, and messages to it."""

    read: MemoryObjectReceiveStream[SessionMessage | Exception]
    write: MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def stdio_streams(
    descriptors: StandardStreams, shutdown: Shutdown
) -> AsyncGenerator[Streams]:
    """Connect the client until ``shutdown`` begins; the end of its input begins it, too.

    Then the read stream ends. Data that the client does not read within ``FLUSH`` seconds is
    dropped. At the end of the block the descriptors are closed.
    """
    connection = _Connection(descriptors, shutdown)
    try:
        async with anyio.create_task_group() as tasks:
            for task in (connection.pump, connection.feed, connection.write, connection.close_down):
                tasks.start_soon(task)
            yield connection.streams
            shutdown.begin()
            await connection.written.wait()
            tasks.cancel_scope.cancel()
    finally:
        connection.close()


class _Connection:
    def __init__(self, descriptors: StandardStreams, shutdown: Shutdown) -> None:
        self._input, self._output = Input(descriptors.input), Output(descriptors.output)
        self._shutdown = shutdown
        self._at_end = False
        self._pumping, self._feeding = anyio.CancelScope(), anyio.CancelScope()
        self._writing = anyio.CancelScope()
        self._to_feed, self._lines = anyio.create_memory_object_stream[bytes | None](float("inf"))
        self._to_server, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, self._from_server = anyio.create_memory_object_stream[SessionMessage](0)
        self._to_client: MemoryObjectSendStream[Any] = write.clone()  # lines as bytes, too
        self.streams = Streams(read, write)
        self.written = anyio.Event()
        self._unserved = 0  # bytes read and not yet served
        self._open: set[str | int] = set()
        self._long_lived: set[str | int] = set()
        self._batches = Batches()
        self._writing_now = False  # also while the client does not read
        self._changed = anyio.Event()  # set and replaced when the state above has changed

    async def pump(self) -> None:
        """Read the descriptor, so that its end is noticed even while no request can be served."""
        lines = Lines()
        with self._pumping, self._to_feed:
            while data := await self._input.read():
                for line in lines.feed(data):
                    if line is None or line.strip():
                        self._unserved += len(line or b"")
                        self._to_feed.send_nowait(line)
                while self._unserved > LINE_LIMIT:
                    await self._changed.wait()
            self._at_end = True
            self._shutdown.begin()

    async def feed(self) -> None:
        """Pass the message of each line to the server, or answer a malformed line."""
        with self._feeding, self._to_server, self._to_client, self._lines:
            async for line in self._lines:
                while self._writing_now and len(self._open) >= UNREAD:
                    await self._changed.wait()
                try:
                    await self._serve(line)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return
                self._unserved -= len(line or b"")
                self._change()
            while self._open or self._long_lived:
                await self._changed.wait()

    async def _serve(self, line: bytes | None) -> None:
        if (values := self._batches.split(line)) is not None:
            messages, answer = self._batches.begin(values)
            await self._answer(answer)
            for message in messages:
                await self._pass_on(message)
            return
        try:
            message = decode(line)
        except MalformedError as malformed:
            await self._to_client.send(SessionMessage(malformed.answer))
        else:
            await self._pass_on(message)

    async def _pass_on(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest) and len(self._open) + len(self._long_lived) >= OPEN:
            await self._to_client.send(SessionMessage(_too_many_requests(message)))
            return
        cancelled = self._note_inbound(message)
        await self._to_server.send(SessionMessage(message))
        if cancelled is not None:
            await self._answer(self._batches.cancelled(cancelled))

    async def _answer(self, line: bytes) -> None:
        if line:
            await self._to_client.send(line)

    async def write(self) -> None:
        """Write each message until the server has ended or the time is up."""
        try:
            with self._writing, self._from_server:
                async for item in cast("AsyncIterable[SessionMessage | bytes]", self._from_server):
                    message = None if isinstance(item, bytes) else item.message
                    line = item if isinstance(item, bytes) else self._batches.outgoing(item.message)
                    self._writing_now = True
                    await self._output.write(line)
                    self._writing_now = False
                    self._note_outbound(message)
        except OSError:  # the client closed its end
            self._shutdown.begin()
        self.written.set()

    async def close_down(self) -> None:
        """End reading, then writing, after the shutdown has begun."""
        await self._shutdown.wait()
        now = anyio.current_time()
        patience = PATIENCE if self._at_end else 0.0
        if self._long_lived:
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
        """Record an open request; the id of the request that ``message`` cancels, if it does."""
        self._batches.note_inbound(message)
        if isinstance(message, JSONRPCRequest):
            kind = self._long_lived if message.method in LONG_LIVED_METHODS else self._open
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
        """Remove an answered or cancelled request. The SDK treats the ids "7" and 7 as the same."""
        self._open.discard(coerce_request_id(request_id))
        self._long_lived.discard(coerce_request_id(request_id))

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _too_many_requests(message: JSONRPCRequest) -> JSONRPCError:
    text = f"This client has {OPEN:,} requests open; wait for answers, or cancel some"
    return JSONRPCError(
        jsonrpc="2.0", id=message.id, error=ErrorData(code=INTERNAL_ERROR, message=text)
    )
