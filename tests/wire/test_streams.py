"""A subscription's stream ends with a word, whoever ends the server."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from support.conversation import SUBSCRIPTION, Conversation
from support.rawclient import RawClient
from support.schemas import MODERN
from support.serving import ENVELOPE, Setup

pytestmark = pytest.mark.needs("schemas")

STREAMS = 40

RecordProperty = Callable[[str, object], None]


def end_of_input(client: RawClient) -> None:
    client.close_stdin()


def a_signal(client: RawClient) -> None:
    client.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("end", [end_of_input, a_signal])
def test_the_server_ends_its_streams(
    setup: Setup, record_property: RecordProperty, end: Callable[[RawClient], None]
) -> None:
    if end is a_signal and sys.platform == "win32":
        pytest.skip("Windows ends a process that gets SIGTERM")
    with RawClient(setup.command) as client:
        conversation = Conversation(client, MODERN)
        for number in range(STREAMS):
            asked = {"resourceSubscriptions": ["queue://jobs"]}
            params = {"_meta": ENVELOPE, "notifications": asked}
            method = "subscriptions/listen"
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            conversation.send(message)
        acknowledged = "notifications/subscriptions/acknowledged"
        for number in range(STREAMS):
            client.wait_for(
                lambda received, number=number: (
                    received.method == acknowledged
                    and received.message["params"]["_meta"][SUBSCRIPTION] == number
                )
            )
        begun = client.now()
        end(client)
        assert client.wait() == 0
        record_property("seconds to the end", round(client.now() - begun, 3))
        for number in range(STREAMS):
            result = client.answer(number).message["result"]
            assert result["_meta"][SUBSCRIPTION] == number
        conversation.check()
    assert "Traceback" not in client.stderr
