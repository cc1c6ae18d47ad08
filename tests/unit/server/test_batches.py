"""Batches come apart and together again."""

from __future__ import annotations

import json
from typing import Any

from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_queue.server.transport.batches import Batches
from mcp_queue.server.transport.framing import decode


def speaking(version: str) -> Batches:
    """After a handshake."""
    batches = Batches()
    batches.note_inbound(decode(b'{"jsonrpc": "2.0", "id": 0, "method": "initialize"}'))
    batches.outgoing(answer(0, protocolVersion=version))
    return batches


def answer(request_id: int | str, **result: Any) -> JSONRPCResponse:
    return JSONRPCResponse(jsonrpc="2.0", id=request_id, result=result)


def request(request_id: int | str, method: str = "ping") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method}


def split(batches: Batches, *values: Any) -> list[object] | None:
    return batches.split(json.dumps(values).encode())


def test_only_one_era_has_batches() -> None:
    for version in ("2024-11-05", "2025-06-18", "2025-11-25"):
        assert split(speaking(version), request(1)) is None
    assert split(Batches(), request(1)) is None
    assert split(speaking("2025-03-26"), request(1)) == [request(1)]
    for line in (b"[]", b"[1", b"[" * 100_000, b"{}", None):
        assert speaking("2025-03-26").split(line) is None


def test_the_answers_of_a_batch_are_one_line() -> None:
    batches = speaking("2025-03-26")
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    messages, line = batches.begin([request(1), note, request("2")])
    kinds = [JSONRPCRequest, JSONRPCNotification, JSONRPCRequest]
    assert [type(message) for message in messages] == kinds
    assert line == b""
    assert batches.outgoing(answer("2", b=2)) == b""
    assert json.loads(batches.outgoing(answer(9))) == {"jsonrpc": "2.0", "id": 9, "result": {}}
    assert json.loads(batches.outgoing(answer(1, a=1))) == [
        {"jsonrpc": "2.0", "id": "2", "result": {"b": 2}},
        {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}},
    ]
    assert json.loads(batches.outgoing(answer(1)))["id"] == 1


def test_what_is_no_message_is_answered_within() -> None:
    batches = speaking("2025-03-26")
    messages, line = batches.begin([7, request(1, "initialize")])
    assert messages == []
    errors = json.loads(line)
    assert [(error["id"], error["error"]["code"]) for error in errors] == [
        (None, -32600),
        (1, -32600),
    ]


def test_a_message_that_no_parser_takes_is_no_fault_of_the_others() -> None:
    batches = speaking("2025-03-26")
    deep = b"[" * 5_000 + b"]" * 5_000
    line = json.dumps([request(1), {**request("two"), "params": {"a": 0}}, request(3)]).encode()
    values = batches.split(line.replace(b'"a": 0', b'"a": ' + deep))
    assert values is not None
    messages, _ = batches.begin(values)
    assert [message.id for message in messages if isinstance(message, JSONRPCRequest)] == [1, 3]
    assert batches.outgoing(answer(1)) == b""
    errors = json.loads(batches.outgoing(answer(3)))
    assert [(each["id"], "error" in each) for each in errors] == [
        ("two", True),
        (1, False),
        (3, False),
    ]


def test_notifications_alone_are_not_answered() -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    messages, line = speaking("2025-03-26").begin([note, note])
    assert (len(messages), line) == (2, b"")


def test_a_cancelled_request_holds_up_no_batch() -> None:
    batches = speaking("2025-03-26")
    batches.begin([request(1), request(2)])
    assert batches.outgoing(answer(1)) == b""
    assert [each["id"] for each in json.loads(batches.cancelled("2"))] == [1]
    assert batches.cancelled(2) == b""
    error = JSONRPCError.model_validate(
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "no"}}
    )
    assert json.loads(batches.outgoing(error))["id"] is None
