"""An array of messages is answered with an array in 2025-03-26, and refused in the other eras."""

from __future__ import annotations

from typing import Any

import pytest

from support import schemas
from support.rawclient import RawClient
from support.schemas import HANDSHAKE_ERAS
from support.serving import HANDSHAKE, Setup

ERA = "2025-03-26"


def greet(client: RawClient, era: str) -> None:
    client.request("initialize", {**HANDSHAKE, "protocolVersion": era})
    client.notify("notifications/initialized")


def call(request_id: int | str, tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}


@pytest.mark.needs("schemas")
def test_a_batch_is_answered_as_one(setup: Setup) -> None:
    with RawClient(setup.command) as client:
        client.takes_batches = True
        greet(client, ERA)
        added = call("a", "queue_add_job", command="steered", params={"port": 1}, job_id="one")
        waited = call("b", "queue_wait_job", job_ids=["nobody"])
        ping = {"jsonrpc": "2.0", "id": 100, "method": "ping"}
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        client.send([added, note, waited, ping, 7])
        answers = [client.answer(request_id) for request_id in ("a", "b", 100)]
        errors = [each for each in client.received if each.message.get("id", 0) is None]
        assert len(errors) == 1
        assert len({received.at for received in (*answers, *errors)}) == 1
        for received, method in zip(answers, ("tools/call", "tools/call", "ping"), strict=True):
            schemas.check_answer(ERA, received.message, method)
        schemas.check_error(ERA, errors[0].message)
        assert not answers[0].message["result"]["isError"]
        assert answers[1].message["result"]["isError"]
        assert client.request("ping")["result"] == {}


def test_a_cancelled_wait_holds_up_no_batch(setup: Setup) -> None:
    with RawClient(setup.command) as client:
        client.takes_batches = True
        greet(client, ERA)
        add = call(100, "queue_add_job", command="steered", params={"port": 1}, job_id="one")
        client.send(add)
        client.answer(100)
        client.send([call(101, "queue_wait_job", job_ids=["one"]), call(102, "queue_health")])
        client.request("ping")
        client.notify("notifications/cancelled", {"requestId": 101})
        assert client.answer(102).message["result"]["structuredContent"]["status"] == "healthy"
        client.request("ping")
        assert not any(received.message.get("id") == 101 for received in client.received)


@pytest.mark.parametrize("era", [era for era in HANDSHAKE_ERAS if era != ERA])
def test_other_eras_have_no_batches(setup: Setup, era: str) -> None:
    with RawClient(setup.command) as client:
        greet(client, era)
        client.send([{"jsonrpc": "2.0", "id": 100, "method": "ping"}])
        error = client.answer(None).message["error"]
        assert error["code"] == -32600
        assert client.request("ping")["result"] == {}
