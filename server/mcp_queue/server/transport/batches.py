"""JSON-RPC batches: an array of messages, answered with an array. Only 2025-03-26 has them.

In that version a server must accept them. The SDK does not support them, so this module splits the
requests and joins the answers.
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

VERSION = "2025-03-26"


@dataclass
class _Batch:
    unanswered: set[RequestId] = field(default_factory=set["RequestId"])
    answers: list[JSONRPCMessage] = field(default_factory=list[JSONRPCMessage])

    def line(self) -> bytes:
        """The answers as one line; empty if there are none, or if some are missing."""
        if self.unanswered or not self.answers:
            return b""
        return b"[" + b",".join(encode(answer).rstrip() for answer in self.answers) + b"]\n"


class Batches:
    """The unanswered batches of one connection."""

    def __init__(self) -> None:
        self._initialize_id: RequestId | None = None
        self._enabled = False
        self._by_request: dict[RequestId, _Batch] = {}

    def note_inbound(self, message: JSONRPCMessage) -> None:
        """Remember the id of the ``initialize`` request."""
        if isinstance(message, JSONRPCRequest) and message.method == "initialize":
            self._initialize_id = message.id

    def split(self, line: bytes | None) -> list[object] | None:
        """The messages of a batch, as JSON values or lines; None if the line is no batch."""
        if not self._enabled or line is None or not line.lstrip().startswith(b"["):
            return None
        try:
            values = cast("list[object]", json.loads(line))
        except (ValueError, RecursionError):
            from mcp_queue.server.transport.json_scan import scan

            found = scan(line)  # the other messages may be valid
            values = list[object](found.parts) if found is not None else []
        return values or None

    def begin(self, values: list[object]) -> tuple[list[JSONRPCMessage], bytes]:
        """The messages to serve, and the whole answer if none of them gets one."""
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
                batch.unanswered.add(request_id)
                self._by_request[request_id] = batch
        return messages, batch.line()

    def outgoing(self, message: JSONRPCMessage) -> bytes:
        """The line to write for a message of the server; empty if its batch is not complete."""
        if not isinstance(message, JSONRPCResponse | JSONRPCError) or message.id is None:
            return encode(message)
        if message.id == self._initialize_id and isinstance(message, JSONRPCResponse):
            self._enabled = message.result.get("protocolVersion") == VERSION
        request_id = coerce_request_id(message.id)
        batch = self._by_request.pop(request_id, None)
        if batch is None:
            return encode(message)
        batch.answers.append(message)
        batch.unanswered.discard(request_id)
        return batch.line()

    def cancelled(self, request_id: RequestId) -> bytes:
        """The client cancelled a request: the line to write if this completes its batch."""
        batch = self._by_request.pop(coerce_request_id(request_id), None)
        if batch is None:
            return b""
        batch.unanswered.discard(coerce_request_id(request_id))
        return batch.line()


def _message(value: object) -> JSONRPCMessage:
    message = decode(value if isinstance(value, bytes) else json.dumps(value).encode())
    if isinstance(message, JSONRPCRequest) and message.method == "initialize":
        reason = "Invalid request: initialize must not be part of a batch"
        raise MalformedError(INVALID_REQUEST, reason, message.id)
    return message
