"""The whole server on the wire: eras, tasks, subscriptions, errors, and its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.rawclient import RawClient
from support.serving import ENVELOPE, HANDSHAKE, Setup
from support.speaking import Speaker

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).with_name("server_commands.py"))
PLAIN_ENVELOPE = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {}}


def setup_in(folder: Path) -> Setup:
    return Setup(folder, {"shutdown_timeout": 0.5, "stop_grace_seconds": 0.5}, [COMMANDS])


@pytest.fixture
def modern(tmp_path: Path) -> Iterator[Speaker]:
    with RawClient(setup_in(tmp_path).command) as client:
        yield Speaker(client, "2026-07-28", ENVELOPE)


@pytest.fixture(params=["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def handshake(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Speaker]:
    with RawClient(setup_in(tmp_path).command) as client:
        speaker = Speaker(client, request.param, {})
        speaker.request("initialize", **{**HANDSHAKE, "protocolVersion": request.param})
        client.notify("notifications/initialized")
        yield speaker


@pytest.fixture
def legacy(tmp_path: Path) -> Iterator[Speaker]:
    with RawClient(setup_in(tmp_path).command) as client:
        speaker = Speaker(client, "2025-11-25", {})
        speaker.request("initialize", **HANDSHAKE)
        client.notify("notifications/initialized")
        yield speaker


def text_of(result: dict[str, Any]) -> Any:
    return json.loads(result["content"][0]["text"])


def test_every_handshake_era_is_served(handshake: Speaker) -> None:
    tools = {tool["name"]: tool for tool in handshake.request("tools/list")["tools"]}
    assert {"add", "sleeps", "queue_wait_job"} <= set(tools)
    built_in = [tool for name, tool in tools.items() if name.startswith("queue_")]
    assert len(built_in) == 10
    assert len(json.dumps(built_in, separators=(",", ":"))) < 6 * 1024
    assert text_of(handshake.call("add", a=1)) == {"result": {"total": 3}}
    result = handshake.call("sleeps", seconds=0)
    kinds = [content["type"] for content in result["content"]]
    knows_links = handshake.version >= "2025-06-18"
    assert kinds == ["text", *["resource_link"] * (2 if knows_links else 0)]
    job_id = text_of(result)["job_id"]
    answer = handshake.call("queue_wait_job", job_ids=job_id)
    assert text_of(answer)["jobs"][0]["result"] == "slept"
    error = handshake.refused("resources/read", uri="queue://jobs/unknown")
    assert (error["code"], error["data"]) == (-32002, {"uri": "queue://jobs/unknown"})
    assert handshake.refused("tasks/get", taskId=job_id)["code"] == -32601


def test_errors_of_plain_commands(modern: Speaker) -> None:
    for tool, arguments, code, words in (
        ("misbehaves", {"how": "raise"}, "exception", "ValueError: secret"),
        ("misbehaves", {"how": "exit"}, "exception", "SystemExit: 3"),
        ("misbehaves", {"how": "interrupt"}, "exception", "KeyboardInterrupt"),
        ("misbehaves", {"how": "object"}, "result_not_serializable", "object"),
        ("misbehaves", {"how": "surrogate"}, "result_not_serializable", "not valid Unicode"),
        ("misbehaves", {}, "invalid_params", "how"),
        ("misbehaves", {"how": 7}, "invalid_params", "7"),
        ("cancels_itself", {}, "exception", "cancelled"),
        ("dawdles", {}, "timeout", "0.05 s"),
        ("queue_list_jobs", {"cursor": "x"}, "invalid_params", "'x'"),
        ("queue_get_job_status", {"job_id": "x"}, "job_not_found", "'x'"),
        ("queue_add_job", {"command": "add"}, "invalid_params", "add"),
        ("queue_add_job", {"command": "nothing"}, "command_not_found", "nothing"),
    ):
        result = modern.call(tool, **arguments)
        assert result["isError"] is True
        shape = text_of(result)
        assert result.get("structuredContent", shape) == shape
        assert shape["success"] is False
        error = shape["error"]
        assert error["code"] == code
        assert error["hint"]
        assert words in error["message"]


def test_a_typed_tool_has_errors_of_text_alone(modern: Speaker) -> None:
    result = modern.call("add", a="x")
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert text_of(result)["error"]["hint"]
    assert modern.call("add", a=1)["structuredContent"] == {"result": {"total": 3}}


def test_a_class_keeps_its_envelope(modern: Speaker) -> None:
    assert modern.call("envelope", good=True)["structuredContent"] == {"success": True, "data": [1]}
    refused = modern.call("envelope", good=False)
    assert refused["isError"] is True
    assert refused["structuredContent"]["error"] == {"code": "refused", "message": "no"}


@pytest.mark.parametrize("arguments", [[], "text", 7, True])
def test_arguments_that_are_no_object(modern: Speaker, arguments: Any) -> None:
    result = modern.request("tools/call", name="misbehaves", arguments=arguments)
    assert result["isError"] is True
    assert result["structuredContent"]["error"]["code"] == "invalid_params"
    none = modern.request("tools/call", name="queue_health", arguments=None)
    assert none["structuredContent"]["success"] is True


def test_an_unknown_tool(modern: Speaker) -> None:
    error = modern.refused("tools/call", name="ad", arguments={})
    assert error["code"] == -32602
    assert "'add'" in error["message"]


def test_a_plain_command_streams_progress(modern: Speaker) -> None:
    result = modern.request(
        "tools/call", name="count", arguments={"steps": 4}, _meta={"progressToken": "p"}
    )
    assert result["structuredContent"] == {"result": "counted"}
    told = [note["params"] for note in modern.client.notifications]
    assert [note["message"] for note in told][-1] == "100% · 4 of 4"
    values = [note["progress"] for note in told]
    assert values == sorted(set(values))
    assert len(values) >= 3


def test_a_task_from_call_to_result(modern: Speaker) -> None:
    created = modern.call("sleeps", seconds=0.3)
    assert created["resultType"] == "task"
    assert created["status"] == "working"
    assert "ends with this session" in created["statusMessage"]
    task_id = created["taskId"]
    while (task := modern.request("tasks/get", taskId=task_id))["status"] == "working":
        time.sleep(task["pollIntervalMs"] / 1000)
    assert task["status"] == "completed"
    assert task["result"]["structuredContent"]["result"] == "slept"
    assert modern.request("tasks/cancel", taskId=task_id)["resultType"] == "complete"
    assert modern.request("tasks/get", taskId=task_id)["status"] == "completed"


def test_a_task_is_cancelled_twice(modern: Speaker) -> None:
    task_id = modern.job(60)
    for _ in range(2):
        modern.request("tasks/cancel", taskId=task_id)
    modern.request("tasks/update", taskId=task_id, inputResponses={"unknown": {"action": "cancel"}})
    while modern.request("tasks/get", taskId=task_id)["status"] == "working":
        time.sleep(0.05)
    assert modern.request("tasks/get", taskId=task_id)["status"] == "cancelled"
    modern.call("queue_delete_job", job_id=task_id)
    error = modern.refused("tasks/get", taskId=task_id)
    assert error["code"] == -32602
    assert "by client" in error["message"]
    assert modern.refused("tasks/get", taskId="unknown")["code"] == -32602


def test_who_gets_a_task(modern: Speaker) -> None:
    assert modern.call("never_a_task")["structuredContent"]["success"] is True
    assert modern.call("only_a_task")["resultType"] == "task"
    plain = Speaker(modern.client, modern.version, PLAIN_ENVELOPE)
    assert plain.call("sleeps", seconds=0)["resultType"] == "complete"
    required = {"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
    for error in (
        plain.refused("tools/call", name="only_a_task", arguments={}),
        plain.refused("tasks/get", taskId="x"),
        plain.refused("subscriptions/listen", notifications={"taskIds": ["x"]}),
    ):
        assert (error["code"], error["data"]) == (-32021, required)


def test_listening(modern: Speaker) -> None:
    task_id = modern.job(0.5)
    uri = f"queue://jobs/{task_id}"
    listen = modern.client.post(
        "subscriptions/listen",
        modern.params(
            notifications={
                "toolsListChanged": True,
                "promptsListChanged": True,
                "resourcesListChanged": True,
                "resourceSubscriptions": [uri, "queue://jobs", "file:///x"],
                "taskIds": [task_id, "unknown"],
            }
        ),
    )
    honoured = modern.told("notifications/subscriptions/acknowledged")["notifications"]
    assert honoured == {
        "toolsListChanged": True,
        "resourcesListChanged": True,
        "resourceSubscriptions": [uri, "queue://jobs"],
        "taskIds": [task_id],
    }
    assert modern.client.notifications[0]["method"] == "notifications/subscriptions/acknowledged"
    done = modern.told("notifications/tasks", taskId=task_id, status="completed")
    assert done["ttlMs"] > 21_600_000
    assert done["result"]["structuredContent"]["result"] == "slept"
    modern.told("notifications/resources/updated", uri=uri)
    modern.told("notifications/resources/updated", uri="queue://jobs")
    modern.job(0)
    modern.told("notifications/resources/list_changed")
    key = "io.modelcontextprotocol/subscriptionId"
    assert {note["params"]["_meta"][key] for note in modern.client.notifications} == {listen}
    modern.client.notify("notifications/cancelled", {"requestId": listen})
    modern.request("tools/list")


def test_who_follows_a_task_learns_that_it_is_deleted(modern: Speaker) -> None:
    runs, ended = modern.job(30), modern.job(0)
    modern.call("queue_wait_job", job_ids=[ended])
    filters = {"taskIds": [runs, ended]}
    modern.client.post("subscriptions/listen", modern.params(notifications=filters))
    modern.told("notifications/tasks", taskId=ended, status="completed")
    for task_id in (ended, runs):
        modern.call("queue_delete_job", job_id=task_id)
    told = modern.told("notifications/tasks", taskId=runs, status="cancelled")
    assert told["statusMessage"] == "deleted: by client"
    statuses = [
        note["params"]["status"]
        for note in modern.client.notifications
        if note["params"].get("taskId") == ended
    ]
    assert statuses == ["completed"]


def test_handshake_subscriptions(legacy: Speaker) -> None:
    job_id = legacy.job(0.3)
    uri = f"queue://jobs/{job_id}"
    for _ in range(2):
        legacy.request("resources/subscribe", uri=uri)
    assert legacy.refused("resources/subscribe", uri="queue://jobs/unknown")["code"] == -32002
    legacy.told("notifications/resources/updated", uri=uri)
    legacy.request("resources/unsubscribe", uri=uri)
    legacy.request("resources/unsubscribe", uri=uri)


def test_resources_in_pages(modern: Speaker) -> None:
    for _ in range(60):
        modern.call("queue_add_job", command="sleeps", params={"seconds": 0})
    first = modern.request("resources/list")
    assert [each["uri"] for each in first["resources"][:3]] == [
        "queue://jobs",
        "queue://health",
        "queue://commands",
    ]
    second = modern.request("resources/list", cursor=first["nextCursor"])
    assert "nextCursor" not in second
    uris = {each["uri"] for each in (*first["resources"], *second["resources"])}
    assert len(uris) == 63
    assert modern.refused("resources/list", cursor="x")["code"] == -32602
    for uri in ("queue://nothing", "queue://jobs/%2e%2e", "queue://jobs/x", "queue://jobs/x/logs"):
        error = modern.refused("resources/read", uri=uri)
        assert (error["code"], error["data"]) == (-32602, {"uri": uri})


def test_a_switched_off_queue(tmp_path: Path) -> None:
    setup = setup_in(tmp_path)
    setup.settings["enabled"] = False
    with RawClient(setup.command) as client:
        speaker = Speaker(client, "2026-07-28", ENVELOPE)
        assert "sleeps" in {tool["name"] for tool in speaker.request("tools/list")["tools"]}
        result = speaker.call("sleeps", seconds=0)
        assert result["structuredContent"]["error"]["code"] == "queue_disabled"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_command_that_holds_the_event_loop_does_not_hold_the_end(tmp_path: Path) -> None:
    with RawClient(setup_in(tmp_path).command) as client:
        speaker = Speaker(client, "2026-07-28", ENVELOPE)
        # A supervisor removes the registry of a server that was cut off.
        speaker.call("queue_wait_job", job_ids=[speaker.job(0)])
        client.post("tools/call", speaker.params(name="blocks_the_loop", arguments={"seconds": 60}))
        time.sleep(0.2)
        client.interrupt()
        assert client.wait() == 0
    assert "Traceback" not in client.stderr
