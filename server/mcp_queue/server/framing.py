"""Bytes to JSON-RPC messages and back: lines, their limit, and the answers to malformed ones."""

from __future__ import annotations

import json
from typing import Any, cast

from mcp_types import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)

LINE_LIMIT = 64 * 1024 * 1024  # bytes of one message


class MalformedError(Exception):
    """The line holds no message; ``answer`` is what its sender gets."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(message)
        error = ErrorData(code=code, message=message)
        self.answer = JSONRPCError(jsonrpc="2.0", id=request_id, error=error)


class Lines:
    """Cuts a stream of bytes into lines, holding at most ``limit`` bytes of an unfinished one."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that ``data`` completes; None stands for a line over the limit."""
        *ends, rest = data.split(b"\n")
        lines: list[bytes | None] = []
        for end in ends:
            self._keep(end)
            lines.append(b"".join(self._parts) if self._size <= self._limit else None)
            self._parts, self._size = [], 0
        if rest:
            self._keep(rest)
        return lines

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()


def decode(line: bytes | None) -> JSONRPCMessage:
    """The message of a line. Raises MalformedError with the answer to what is none."""
    if line is None:
        raise MalformedError(PARSE_ERROR, f"Parse error: a message has at most {LINE_LIMIT} bytes")
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        raise _malformed(line) from None
    # The SDK reads a request whose id is neither text nor a whole number as a notification.
    if isinstance(message, JSONRPCNotification) and b'"id"' in line:
        malformed = _malformed(line)
        if malformed.answer.error.code != PARSE_ERROR and "id" in json.loads(line):
            raise malformed
    return message


def _malformed(line: bytes) -> MalformedError:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return MalformedError(PARSE_ERROR, "Parse error: the line is no JSON in UTF-8")
    message = "Invalid request: the line is no JSON-RPC 2.0 message"
    request_id = cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else None
    if isinstance(request_id, bool) or not isinstance(request_id, int | str):
        request_id = None
    return MalformedError(INVALID_REQUEST, message, request_id)


def encode(message: JSONRPCMessage) -> bytes:
    """The line of a message, with its newline. What JSON cannot hold becomes an error."""
    try:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:
        return _encode_anyhow(message)
    return text.encode() + b"\n"


def _encode_anyhow(message: JSONRPCMessage) -> bytes:
    """Half of a surrogate pair, from a log say, becomes a question mark."""
    try:
        content = message.model_dump(by_alias=True, exclude_unset=True)
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        if not isinstance(message, JSONRPCResponse):
            return b""
        error = ErrorData(code=INTERNAL_ERROR, message="The result cannot be written as JSON")
        return encode(JSONRPCError(jsonrpc="2.0", id=message.id, error=error))
    return text.encode("utf-8", "replace") + b"\n"
