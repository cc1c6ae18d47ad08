"""Forty waits and forty subscriptions at once on one connection."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from support.conversation import SUBSCRIPTION, Conversation
from support.processes import Lifelines
from support.rawclient import RawClient, Received, RequestId
from support.schemas import HANDSHAKE_ERAS, MODERN
from support.serving import ENVELOPE, HANDSHAKE, Setup

pytestmark = pytest.mark.needs("schemas")

CROWD = 40
STEPS = 8
TASKS = "io.modelcontextprotocol/tasks"

RecordProperty = Callable[[str, object], None]


class Crowd:
    """A client with many requests open at once, in one era."""

    def __init__(self, client: RawClient, era: str) -> None:
        self.client = client
        self.conversation = Conversation(client, era)
        self._modern = era == MODERN
        self._next_id = 0
        if not self._modern:
            self.ask("initialize", **{**HANDSHAKE, "protocolVersion": era})
            self.notify("notifications/initialized")

    def post(self, method: str, *, token: str | None = None, **params: Any) -> int:
        self._next_id += 1
        meta = dict(ENVELOPE) if self._modern else {}
        if token is not None:
            meta["progressToken"] = token
        if meta:
            params["_meta"] = meta
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method}
        self.conversation.send({**message, "params": params} if params else message)
        return self._next_id

    def notify(self, method: str, **params: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method}
        self.conversation.send({**message, "params": params} if params else message)

    def result(self, request_id: RequestId) -> dict[str, Any]:
        return self.client.answer(request_id, 120).message["result"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self.result(self.post(method, **params))

    def job(self, number: int, port: int) -> str:
        pace = 0.02 + 0.005 * number
        arguments = {"name": f"job {number}", "steps": STEPS, "pace": pace, "port": port}
        result = self.ask("tools/call", name="counted", arguments=arguments)
        return result.get("taskId") or result["structuredContent"]["job_id"]

    def subscribe(self, job_id: str) -> int:
        """Subscribe to a job; gives what `release` wants."""
        uri = f"queue://jobs/{job_id}"
        if not self._modern:
            self.ask("resources/subscribe", uri=uri)
            return 0
        asked = {"resourceSubscriptions": [uri], "taskIds": [job_id]}
        stream = self.post("subscriptions/listen", notifications=asked)
        self.client.wait_for(lambda received: is_acknowledgement(received, stream))
        return stream

    def release(self, job_id: str, stream: int) -> None:
        if self._modern:
            self.notify("notifications/cancelled", requestId=stream)
        else:
            self.ask("resources/unsubscribe", uri=f"queue://jobs/{job_id}")

    def wait(self, job_id: str, number: int) -> int:
        arguments = {"job_ids": [job_id], "timeout_seconds": 120}
        token = f"of job {number}"
        return self.post("tools/call", token=token, name="queue_wait_job", arguments=arguments)


def is_acknowledgement(received: Received, stream: int) -> bool:
    return (
        received.method == "notifications/subscriptions/acknowledged"
        and received.message["params"]["_meta"][SUBSCRIPTION] == stream
    )


def once_around(crowd: Crowd, gate: Lifelines) -> None:
    """The crowd comes, is served, and goes."""
    jobs = [crowd.job(number, gate.port) for number in range(CROWD)]
    streams = [crowd.subscribe(job_id) for job_id in jobs]
    waits = [crowd.wait(job_id, number) for number, job_id in enumerate(jobs)]
    gate.take(CROWD)
    gate.let_go()
    for number, wait in enumerate(waits):
        [view] = crowd.result(wait)["structuredContent"]["jobs"]
        assert (view["status"], view["result"]) == ("completed", f"job {number}")
    for job_id in jobs:
        crowd.client.wait_for(lambda received, job_id=job_id: tells_of(received, job_id))
    for job_id, stream in zip(jobs, streams, strict=True):
        crowd.release(job_id, stream)
    crowd.ask("resources/templates/list")
    after = len(crowd.client.received)
    crowd.ask("tools/call", name="queue_delete_job", arguments={"job_id": jobs[0]})
    crowd.ask("resources/templates/list")
    assert all(received.is_answer for received in crowd.client.received[after:])
    crowd.conversation.check()
    check_progress(crowd)
    forget(crowd)


def tells_of(received: Received, job_id: str) -> bool:
    params = received.message.get("params", {})
    return params.get("uri") == f"queue://jobs/{job_id}"


def check_progress(crowd: Crowd) -> None:
    """Each token was told of its own job alone, up to its end."""
    for number in range(CROWD):
        told = [
            note["params"]["message"]
            for note in crowd.client.notifications
            if note["params"].get("progressToken") == f"of job {number}"
        ]
        assert told[-1] == "100% · completed", told
        named = [text for text in told if " at " in text]
        assert named, told
        assert all(f"job {number} at " in text for text in named), told


def forget(crowd: Crowd) -> None:
    """Let the next round use the same tokens: the requests of this one are over."""
    crowd.client.received.clear()
    crowd.conversation.requests.clear()


def held(process: psutil.Process) -> dict[str, Any]:
    """What the server holds, as it shows from outside."""
    if sys.platform != "linux":
        return {"threads": process.num_threads()}
    folder = f"/proc/{process.pid}/fd"
    descriptors = sorted(os.readlink(f"{folder}/{name}") for name in os.listdir(folder))
    return {"threads": process.num_threads(), "descriptors": descriptors}


@pytest.mark.parametrize("era", [HANDSHAKE_ERAS[-1], MODERN])
def test_forty_waits_and_forty_subscriptions(
    setup: Setup, record_property: RecordProperty, era: str
) -> None:
    """Each is served apart, and the second crowd leaves no more behind than the first."""
    with RawClient(setup.command) as client, Lifelines() as gate:
        crowd = Crowd(client, era)
        once_around(crowd, gate)
        process = psutil.Process(client.pid)
        before, size = held(process), process.memory_info().rss
        once_around(crowd, gate)
        assert held(process) == before
        grown = (process.memory_info().rss - size) / 2**20
        record_property("MiB grown with the second crowd", round(grown, 2))
    assert "Traceback" not in client.stderr, client.stderr
