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
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some clients on Windows begin with one


class MalformedError(Exception):
    """The line holds no message; ``answer`` is what its sender gets."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(message)
        error = ErrorData(code=code, message=message)
        self.answer = JSONRPCError(jsonrpc="2.0", id=request_id, error=error)


class Lines:
    """Cuts a stream of bytes into lines, holding at most ``limit`` bytes of an unfinished one.

    A byte order mark before the first line is left out.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._begun = False

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
        if lines and not self._begun:
            self._begun = True
            lines[0] = lines[0] and lines[0].removeprefix(BYTE_ORDER_MARK)
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
        mended = _mended(line)
        if mended is None:
            raise _malformed(line) from None
        return decode(mended)
    # The SDK reads a request whose id is neither text nor a whole number as a notification.
    if isinstance(message, JSONRPCNotification) and b'"id"' in line:
        malformed = _malformed(line)
        if malformed.answer.error.code != PARSE_ERROR and "id" in json.loads(line):
            raise malformed
    return message


def _mended(line: bytes) -> bytes | None:
    """The line with a question mark for each half of a surrogate pair; None if it has none.

    JSON allows half a pair, from text that was cut there, and the SDK does not.
    """
    if b"\\ud" not in line and b"\\uD" not in line:
        return None
    try:
        value = json.loads(line)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(_id_of(value), str) and not _can_be_echoed(_id_of(value)):
        return None
    mended = text.encode("utf-8", "replace")
    return None if mended.decode() == text else mended


def _malformed(line: bytes) -> MalformedError:
    from mcp_queue.server.transport.json_scan import scan

    found = scan(line)
    message = "Invalid request: the line is no JSON-RPC 2.0 message"
    if found is not None and found.fault is not None:
        message = f"Invalid request: the line cannot be read, since {found.fault}"
    try:
        value: Any = json.loads(line)
        request_id = _id_of(value)
    except (ValueError, RecursionError):
        if found is None or found.fault is None:
            return MalformedError(PARSE_ERROR, "Parse error: the line is no JSON in UTF-8")
        request_id = found.request_id
    if not _can_be_echoed(request_id):
        request_id = None
    return MalformedError(INVALID_REQUEST, message, request_id)


def _id_of(value: Any) -> Any:
    return cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else None


def _can_be_echoed(request_id: Any) -> bool:
    """Whether an answer may carry this id; half a surrogate pair could not be written."""
    if isinstance(request_id, str):
        return request_id.encode("utf-8", "replace").decode() == request_id
    return isinstance(request_id, int) and not isinstance(request_id, bool)


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
