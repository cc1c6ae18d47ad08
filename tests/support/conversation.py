"""One client's connection, every line of which is checked, in both directions.

What a schema cannot say is checked too: each request is answered at most once and nothing else is;
progress goes to open requests alone and strictly increases; subscriptions are acknowledged before
all else, and changes reach only who asked for them.
"""

from __future__ import annotations

import json
from typing import Any

from support import schemas, wire
from support.rawclient import Message, RawClient, Received, RequestId
from support.schemas import MODERN

SUBSCRIPTION = f"{wire.META_PREFIX}subscriptionId"
LISTEN = "subscriptions/listen"


class Conversation:
    """A raw client that speaks one era of the protocol."""

    def __init__(self, client: RawClient, era: str) -> None:
        self.client = client
        self.era = era
        self.requests: dict[RequestId, Message] = {}
        self._released: set[RequestId] = set()
        self._subscribed: set[str] = set()
        self._asked: dict[RequestId, str] = {}  # requests of the server: their methods

    # Sending.

    def send(self, message: Message) -> None:
        """Send a message that the era's schema allows."""
        if "method" not in message:
            schemas.check_sent_answer(self.era, message, self._asked[message["id"]])
        elif "id" in message:
            self._note_request(message)
        else:
            schemas.check_sent_notification(self.era, message)
            if message["method"] == "notifications/cancelled":
                self._released.add(message["params"]["requestId"])
        self.client.send(message)

    def send_as_it_is(self, message: Message) -> None:
        """Send a request of another era, which the schema of this one does not know."""
        self.requests[message["id"]] = message
        self.client.send(message)

    def _note_request(self, message: Message) -> None:
        schemas.check_request(self.era, message)
        assert message["id"] not in self.requests, f"an id used twice: {message}"
        self.requests[message["id"]] = message
        if message["method"] == "resources/subscribe":
            self._subscribed.add(message["params"]["uri"])

    def note_server_request(self, message: Message) -> None:
        """A request of the server, which an answer may now be sent to."""
        self._asked[message["id"]] = message["method"]

    # Checking.

    def check(self) -> None:
        """Raise if anything that has been received until now should not have been."""
        answered: set[RequestId] = set()
        progress: dict[RequestId, float] = {}
        acknowledged: set[RequestId] = set()
        for received in list(self.client.received):
            if received.is_answer:
                self._check_answer(received, answered)
            elif "id" in received.message:
                schemas.check_server_request(self.era, received.message)
            else:
                wire.check_notification(self.era, received.message)
                if received.method == "notifications/progress":
                    self._check_progress(received.message["params"], progress, answered)
                else:
                    self._check_subscribed(received, acknowledged)

    def _check_answer(self, received: Received, answered: set[RequestId]) -> None:
        message = received.message
        request_id: Any = message["id"]
        assert request_id in self.requests, f"an answer to nothing: {message}"
        assert request_id not in answered, f"a second answer: {message}"
        answered.add(request_id)
        if "error" in message:
            schemas.check_error(self.era, message)
            return
        method = self.requests[request_id]["method"]
        schemas.check_answer(self.era, message, method)
        wire.check_result(method, self.era, message["result"])
        if method == "tools/call":
            check_both_halves(message["result"])

    def _check_progress(
        self, params: Message, progress: dict[RequestId, float], answered: set[RequestId]
    ) -> None:
        token = params["progressToken"]
        open_requests = [
            request
            for request_id, request in self.requests.items()
            if request.get("params", {}).get("_meta", {}).get("progressToken") == token
            and request_id not in answered
        ]
        assert open_requests, f"progress of no open request: {params}"
        assert params["progress"] > progress.get(token, -1), f"progress does not grow: {params}"
        progress[token] = params["progress"]
        assert params["progress"] <= params["total"], f"more than all: {params}"

    def _check_subscribed(self, received: Received, acknowledged: set[RequestId]) -> None:
        params = received.message.get("params", {})
        if self.era != MODERN:
            if received.method == "notifications/resources/updated":
                assert params["uri"] in self._subscribed, received.message
            return
        stream = params["_meta"][SUBSCRIPTION]
        assert self.requests[stream]["method"] == LISTEN, received.message
        asked = self.requests[stream]["params"]["notifications"]
        if received.method == "notifications/subscriptions/acknowledged":
            assert stream not in acknowledged, f"acknowledged twice: {received.message}"
            acknowledged.add(stream)
        assert stream in acknowledged, f"before its acknowledgement: {received.message}"
        if received.method == "notifications/resources/updated":
            assert params["uri"] in asked["resourceSubscriptions"], received.message
        elif received.method == "notifications/tasks":
            assert params["taskId"] in asked["taskIds"], received.message


def check_both_halves(result: Message) -> None:
    """Raise unless text and structured content of a tool's result say the same."""
    if "structuredContent" in result and result["content"]:
        text = result["content"][0]
        assert text["type"] == "text", result
        assert json.loads(text["text"]) == result["structuredContent"], result
