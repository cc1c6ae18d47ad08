"""Conversion of lines of bytes to JSON-RPC messages and back, with answers to malformed lines."""

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
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some clients on Windows send one first


class MalformedError(Exception):
    """The line contains no message; ``answer`` is the answer to its sender."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(message)
        error = ErrorData(code=code, message=message)
        self.answer = JSONRPCError(jsonrpc="2.0", id=request_id, error=error)


class Lines:
    """Splits a stream of bytes into lines. It stores at most ``limit`` bytes of an unfinished line.

    A byte order mark before the first line is removed.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._had_line = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that ``data`` completes; None stands for a line over the limit."""
        *ends, rest = data.split(b"\n")
        lines: list[bytes | None] = []
        for end in ends:
            self._add(end)
            lines.append(b"".join(self._parts) if self._size <= self._limit else None)
            self._parts, self._size = [], 0
        if rest:
            self._add(rest)
        if lines and not self._had_line:
            self._had_line = True
            lines[0] = lines[0] and lines[0].removeprefix(BYTE_ORDER_MARK)
        return lines

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()


def decode(line: bytes | None) -> JSONRPCMessage:
    """The message of a line. Raises MalformedError, with the answer, if the line is no message."""
    if line is None:
        raise MalformedError(PARSE_ERROR, f"Parse error: a message has at most {LINE_LIMIT} bytes")
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        repaired = _without_half_surrogates(line)
        if repaired is None:
            raise _malformed(line) from None
        return decode(repaired)
    # The SDK treats a request whose id is neither text nor a whole number as a notification.
    if isinstance(message, JSONRPCNotification) and b'"id"' in line:
        malformed = _malformed(line)
        if malformed.answer.error.code != PARSE_ERROR and "id" in json.loads(line):
            raise malformed
    return message


def _without_half_surrogates(line: bytes) -> bytes | None:
    """The line with a question mark for each half of a surrogate pair; None if it has none.

    JSON allows half a pair, for example in text that was cut; the SDK does not.
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
    repaired = text.encode("utf-8", "replace")
    return None if repaired.decode() == text else repaired


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
    """Whether an answer can contain this id; half a surrogate pair cannot be written."""
    if isinstance(request_id, str):
        return request_id.encode("utf-8", "replace").decode() == request_id
    return isinstance(request_id, int) and not isinstance(request_id, bool)


def encode(message: JSONRPCMessage) -> bytes:
    """The line of a message, with its newline. A message that cannot be JSON becomes an error."""
    try:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:
        return _encode_with_replacement(message)
    return text.encode() + b"\n"


def _encode_with_replacement(message: JSONRPCMessage) -> bytes:
    """The line with a question mark for each half of a surrogate pair, which a log may contain."""
    try:
        content = message.model_dump(by_alias=True, exclude_unset=True)
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        if not isinstance(message, JSONRPCResponse):
            return b""
        error = ErrorData(code=INTERNAL_ERROR, message="The result cannot be written as JSON")
        return encode(JSONRPCError(jsonrpc="2.0", id=message.id, error=error))
    return text.encode("utf-8", "replace") + b"\n"
