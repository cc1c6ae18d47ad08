"""Replays what a real host once wrote to a server's stdin.

A recording is a list of events: ``send`` is a message of the host, ``restart`` says that the host
ended the server process and started another, ``eof`` that it closed stdin. Messages that the host
wrote within ``BURST`` seconds go out together; before any other the answers to the earlier ones
are awaited, as the host did.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import wire
from support.rawclient import Message, RawClient, Received, RequestId

BURST = 0.01  # seconds
LISTEN = "subscriptions/listen"
OWN = "own-"  # begins the ids of requests that are not in the recording


def read_recording(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Replay:
    """One host and its server processes, one after the other.

    Every answer is checked against the schema of its era, and so is all else that the server sends:
    nothing but acknowledgements of ``subscriptions/listen``, progress of open requests and list
    changes.
    """

    def __init__(self, start: Callable[[], RawClient]) -> None:
        self._start = start
        self.client = start()
        self.slowest = 0.0  # seconds from a recorded request to its answer
        self.exits: list[float] = []  # seconds from the request to leave to the end
        self._versions: list[str] = []
        self._tools: dict[str, Message] = {}
        self._tasks: list[str] = []  # ids that our server gave
        self._recorded: dict[str, str] = {}  # id of the recording: id of ours
        self._called: dict[str, str] = {}  # task id: name of the tool
        self._meta: Message | None = None
        self._begin()

    def _begin(self) -> None:
        self._requests: dict[RequestId, Message] = {}
        self._sent: dict[RequestId, float] = {}
        self._open: list[RequestId] = []
        self._ending_at: float | None = None

    @property
    def version(self) -> str:
        """The protocol version in use."""
        return self._versions[-1]

    @property
    def task_id(self) -> str:
        """The id of the last task that the server made."""
        return self._tasks[-1]

    def run(self, recording: list[dict[str, Any]]) -> None:
        before = 0.0
        for event in recording:
            if "send" in event:
                if event["t"] - before > BURST:
                    self._await_answers()
                before = event["t"]
                self._send(self._with_own_ids(event["send"]))
            elif "restart" in event:
                self.restart()
                before = 0.0
            else:
                self.end()
        self._await_answers()

    def request(self, method: str, params: Message | None = None) -> Message:
        """A request of the test's own, in the way of the recorded host; gives the result."""
        meta = {} if self._meta is None else {"_meta": self._meta}
        request_id = f"{OWN}{len(self._requests)}"
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        self._send({**message, "params": {**(params or {}), **meta}})
        self._await_answers()
        return self.client.answer(request_id).message["result"]

    def restart(self) -> None:
        """End the server as Claude Code does, by SIGINT with stdin open, and start another."""
        self._await_answers()
        self._leave(self.client.interrupt)
        self.client = self._start()
        self._begin()

    def end(self) -> int:
        """End the server by closing its stdin; gives its exit status."""
        self._await_answers()
        return self._leave(self.client.close_stdin)

    def close(self) -> None:
        """End the server, whatever state it is in."""
        self.client.close()

    def _leave(self, ask: Callable[[], None]) -> int:
        asked_at = self.client.now()
        self._ending_at = asked_at
        ask()
        status = self.client.wait()
        self.exits.append(self.client.now() - asked_at)
        self.client.close()
        assert not self.client.violations, self.client.violations
        self._check_all_received()
        return status

    def _send(self, message: Message) -> None:
        request_id = message.get("id")
        meta = message.get("params", {}).get("_meta", {})
        if wire.VERSION_KEY in meta:
            self._versions.append(meta[wire.VERSION_KEY])
            self._meta = {key: meta[key] for key in meta if key.startswith(wire.META_PREFIX)}
        if request_id is not None:
            assert request_id not in self._requests
            self._requests[request_id] = message
            self._sent[request_id] = self.client.now()
            self._open.append(request_id)
        self.client.send(message)

    def _await_answers(self) -> None:
        while self._open:
            request_id = self._open.pop(0)
            if self._requests[request_id]["method"] == LISTEN:
                self._await_acknowledgement()
            else:
                self._take_answer(self._requests[request_id], self.client.answer(request_id))

    def _await_acknowledgement(self) -> None:
        method = "notifications/subscriptions/acknowledged"
        self.client.wait_for(lambda received: received.method == method)

    def _take_answer(self, request: Message, received: Received) -> None:
        message, method = received.message, request["method"]
        assert "result" in message, f"{method} was answered with {message}"
        result = message["result"]
        if method == "initialize":
            assert result["protocolVersion"] == request["params"]["protocolVersion"]
            self._versions.append(result["protocolVersion"])
        wire.check_result(method, self.version, result)
        if not str(request["id"]).startswith(OWN):
            self.slowest = max(self.slowest, received.at - self._sent[request["id"]])
        if method == "tools/list":
            self._tools = {tool["name"]: tool for tool in result["tools"]}
        elif method == "tools/call":
            self._take_call(request["params"]["name"], result)
        elif method == "tasks/get" and result["status"] == "completed":
            name = self._called[request["params"]["taskId"]]
            wire.check_structured(self._tools[name], result["result"])

    def _take_call(self, name: str, result: Message) -> None:
        wire.check_structured(self._tools[name], result)
        if result.get("resultType") == "task":
            self._tasks.append(result["taskId"])
            self._called[result["taskId"]] = name

    def _with_own_ids(self, message: Message) -> Message:
        recorded = message.get("params", {}).get("taskId")
        if recorded is None:
            return message
        if recorded not in self._recorded:
            self._await_answers()
            self._recorded[recorded] = self.task_id
        params = {**message["params"], "taskId": self._recorded[recorded]}
        if message["method"] == "tasks/update":
            params["inputResponses"] = self._under_own_keys(params)
        return {**message, "params": params}

    def _under_own_keys(self, params: Message) -> Message:
        """The recorded responses to what our task asks, once it does."""
        while True:
            self._await_answers()
            task = self.request("tasks/get", {"taskId": params["taskId"]})
            if task["status"] == "input_required":
                responses = params["inputResponses"].values()
                return dict(zip(task["inputRequests"], responses, strict=True))

    def _check_all_received(self) -> None:
        answered: set[RequestId] = set()
        for received in self.client.received:
            if received.is_answer:
                self._check_is_due(received, answered)
            else:
                assert "id" not in received.message, f"a request of the server: {received.message}"
                wire.check_notification(self.version, received.message)
                self._check_is_expected(received, answered)

    def _check_is_due(self, received: Received, answered: set[RequestId]) -> None:
        request_id = received.message.get("id")
        assert request_id in self._requests, f"an answer to nothing: {received.message}"
        assert request_id not in answered, f"a second answer: {received.message}"
        answered.add(request_id)
        if self._requests[request_id]["method"] == LISTEN:
            ending = self._ending_at is not None and received.at >= self._ending_at
            assert ending, "the subscription was ended by the server"

    def _check_is_expected(self, received: Received, answered: set[RequestId]) -> None:
        method, params = received.method, received.message.get("params", {})
        if method == "notifications/progress":
            tokens = {
                request.get("params", {}).get("_meta", {}).get("progressToken")
                for request_id, request in self._requests.items()
                if request_id not in answered
            }
            assert params["progressToken"] in tokens - {None}, "progress of no open request"
        elif method != "notifications/subscriptions/acknowledged":
            assert str(method).endswith("/list_changed"), f"unexpected: {received.message}"
