"""Lines, messages, and the answers to what is neither."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_queue.server.transport.framing import (
    BYTE_ORDER_MARK,
    Lines,
    MalformedError,
    decode,
    encode,
)

LINES = st.binary(max_size=40).filter(lambda line: b"\n" not in line)


@given(st.lists(LINES | LINES.map(lambda line: BYTE_ORDER_MARK + line)), st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrive(lines: list[bytes], data: Any) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    cutter = Lines()
    found: list[bytes | None] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += cutter.feed(stream[start:end])
    expected = [line.removeprefix(BYTE_ORDER_MARK) for line in lines[:1]] + lines[1:]
    assert found == expected


def test_a_line_over_the_limit_is_dropped_up_to_its_end() -> None:
    cutter = Lines(limit=5)
    assert cutter.feed(b"12345\n123") == [b"12345"]
    assert cutter.feed(b"456") == []
    assert cutter.feed(b"789\nok\n") == [None, b"ok"]


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"no json", -32700, None),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping"', -32700, None),
        (b'"\xff"', -32700, None),
        (b"[" * 100_000, -32700, None),
        (None, -32700, None),
        (b"7", -32600, None),
        (b"[]", -32600, None),
        (b'{"jsonrpc": "1.0", "id": 3, "method": "ping"}', -32600, 3),
        (b'{"jsonrpc": "2.0", "id": "x", "method": 7}', -32600, "x"),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "ping", "params": []}', -32600, 4),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600, None),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600, None),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600, None),
        (rb'{"jsonrpc": "2.0", "id": "\ud800", "method": "ping"}', -32600, None),
        (rb'{"jsonrpc": "2.0", "id": 5, "method": 7, "x": "\ud800"}', -32600, 5),
    ],
)
def test_what_is_no_message_has_an_answer(
    line: bytes | None, code: int, request_id: int | str | None
) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(line)
    assert caught.value.answer.error.code == code
    answer = json.loads(encode(caught.value.answer))
    assert answer["id"] == request_id


@given(st.binary())
def test_any_line_is_a_message_or_has_an_answer(line: bytes) -> None:
    try:
        message = decode(line)
    except MalformedError as malformed:
        message = malformed.answer
    assert json.loads(encode(message))["jsonrpc"] == "2.0"


def test_messages() -> None:
    request = decode(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\r')
    assert isinstance(request, JSONRPCRequest)
    named = decode(b'{"jsonrpc": "2.0", "method": "x", "params": {"id": 1}}')
    assert isinstance(named, JSONRPCNotification)


def test_what_json_cannot_hold_still_gets_an_answer() -> None:
    half = encode(JSONRPCResponse(jsonrpc="2.0", id=1, result={"text": "a\ud800b"}))
    assert json.loads(half)["result"]["text"] == "a?b"
    impossible = encode(JSONRPCResponse(jsonrpc="2.0", id=2, result={"value": object()}))
    assert json.loads(impossible)["error"]["code"] == -32603
    assert json.loads(impossible)["id"] == 2


def test_half_a_surrogate_pair_within_a_message_becomes_a_question_mark() -> None:
    line = (
        rb'{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"b": "cut \uD83D", "c": "\\ud"}}'
    )
    message = decode(line)
    assert isinstance(message, JSONRPCRequest)
    assert message.params == {"b": "cut ?", "c": "\\ud"}


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_a_byte_order_mark_before_the_first_line_is_left_out(size: int) -> None:
    stream = MARK + b"one\n" + MARK + b"two\n"
    cutter = Lines()
    found: list[bytes | None] = []
    for start in range(0, len(stream), size):
        found += cutter.feed(stream[start : start + size])
    assert found == [b"one", MARK + b"two"]


def test_a_first_line_over_the_limit_has_no_mark() -> None:
    assert Lines(limit=5).feed(MARK + b"123\n" + MARK + b"\n") == [None, MARK]
