"""JSON-RPC batches: an array of messages, answered with an array. 2025-03-26 alone has them.

That era says that a server must take them; the SDK does not know them, so they are taken apart and
put together here, on the wire.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mcp.shared.dispatcher import coerce_request_id
from mcp_types import (
    INVALID_REQUEST,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
)

from mcp_queue.server.transport.framing import MalformedError, decode, encode

if TYPE_CHECKING:
    from mcp_types import RequestId

ERA = "2025-03-26"


@dataclass
class _Batch:
    waiting: set[RequestId] = field(default_factory=set["RequestId"])
    answers: list[JSONRPCMessage] = field(default_factory=list[JSONRPCMessage])

    def line(self) -> bytes:
        """The answers as one line; empty while there are none, or more to come."""
        if self.waiting or not self.answers:
            return b""
        return b"[" + b",".join(encode(answer).rstrip() for answer in self.answers) + b"]\n"


class Batches:
    """The batches of one connection that are not yet answered."""

    def __init__(self) -> None:
        self._greeting: RequestId | None = None
        self._spoken = False
        self._of: dict[RequestId, _Batch] = {}

    def note_inbound(self, message: JSONRPCMessage) -> None:
        """Learn which request begins the connection."""
        if isinstance(message, JSONRPCRequest) and message.method == "initialize":
            self._greeting = message.id

    def split(self, line: bytes | None) -> list[object] | None:
        """The messages of a batch, as JSON values or their lines; None if the line is none."""
        if not self._spoken or line is None or not line.lstrip().startswith(b"["):
            return None
        try:
            values = cast("list[object]", json.loads(line))
        except (ValueError, RecursionError):
            from mcp_queue.server.transport.json_scan import scan

            found = scan(line)  # one message that cannot be read is no fault of the others
            values = list[object](found.parts) if found is not None else []
        return values or None

    def begin(self, values: list[object]) -> tuple[list[JSONRPCMessage], bytes]:
        """The messages to serve, and the whole answer if there is nothing to wait for."""
        batch, messages = _Batch(), list[JSONRPCMessage]()
        for value in values:
            try:
                message = _message(value)
            except MalformedError as malformed:
                batch.answers.append(malformed.answer)
                continue
            messages.append(message)
            if isinstance(message, JSONRPCRequest):
                request_id = coerce_request_id(message.id)
                batch.waiting.add(request_id)
                self._of[request_id] = batch
        return messages, batch.line()

    def outgoing(self, message: JSONRPCMessage) -> bytes:
        """What to write for a message of the server; nothing if its batch is not complete."""
        if not isinstance(message, JSONRPCResponse | JSONRPCError) or message.id is None:
            return encode(message)
        if message.id == self._greeting and isinstance(message, JSONRPCResponse):
            self._spoken = message.result.get("protocolVersion") == ERA
        request_id = coerce_request_id(message.id)
        batch = self._of.pop(request_id, None)
        if batch is None:
            return encode(message)
        batch.answers.append(message)
        batch.waiting.discard(request_id)
        return batch.line()

    def cancelled(self, request_id: RequestId) -> bytes:
        """A request is answered no more; what to write if its batch waited for it alone."""
        batch = self._of.pop(coerce_request_id(request_id), None)
        if batch is None:
            return b""
        batch.waiting.discard(coerce_request_id(request_id))
        return batch.line()


def _message(value: object) -> JSONRPCMessage:
    message = decode(value if isinstance(value, bytes) else json.dumps(value).encode())
    if isinstance(message, JSONRPCRequest) and message.method == "initialize":
        reason = "Invalid request: initialize must not be part of a batch"
        raise MalformedError(INVALID_REQUEST, reason, message.id)
    return message
