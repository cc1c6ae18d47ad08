"""Independent clients run jobs, see their progress, read status and logs, and stop them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from support.serving import Setup
from support.web import WebServer, bearer

BUILT_IN = {"queue_health", "queue_list_jobs", "queue_stop_job", "queue_wait_job"}
CLIENT = "@modelcontextprotocol/client"

Run = Callable[..., dict[str, list[Any]]]


def check_jobs(seen: dict[str, list[Any]]) -> None:
    """A client without tasks: handle, wait with progress, resources, a stop, an error."""
    [connected] = seen["connected"]
    assert set(connected["tools"]) >= BUILT_IN | {"gated", "slow"}
    [handle] = seen["handle"]
    job_id = handle["structuredContent"]["job_id"]
    assert {f"queue://jobs/{job_id}", f"queue://jobs/{job_id}/logs"} <= {
        part["uri"] for part in handle["content"] if part["type"] == "resource_link"
    }
    check_progress(seen["progress"])
    check_reading(seen, job_id)
    assert set(seen["updated"]) == {f"queue://jobs/{job_id}"}
    [waited] = seen["waited"]
    [job] = waited["structuredContent"]["jobs"]
    assert (job["job_id"], job["status"], job["result"]) == (job_id, "completed", "passed")
    [stopped] = seen["stopped"]
    [job] = stopped["structuredContent"]["jobs"]
    assert job["status"] == "stopped"
    [answered] = seen["answered"]
    check_answered(seen, answered["structuredContent"]["jobs"][0])
    [refused] = seen["refused"]
    assert refused["isError"] is True
    assert refused["structuredContent"]["error"]["code"] == "job_not_found"


def check_progress(progress: list[dict[str, Any]]) -> None:
    assert any("at the gate" in update["message"] for update in progress)
    assert all(a["progress"] < b["progress"] for a, b in pairwise(progress))


def check_reading(seen: dict[str, list[Any]], job_id: str) -> None:
    """Status and logs of the job while it waits at the gate."""
    [status] = seen["status"]
    assert status["job_id"] == job_id
    assert (status["status"], status["progress"]) == ("running", 10)
    [logs] = seen["logs"]
    assert "waiting at the gate" in logs


def check_answered(seen: dict[str, list[Any]], job: dict[str, Any]) -> None:
    """The form reached the client, and its answer the job."""
    [asked] = seen["asked"]
    assert asked["message"] == "Who are you?"
    assert set(asked["requestedSchema"]["properties"]) == {"name"}
    assert (job["status"], job["result"]) == ("completed", "Hello, Ada")


def check_passed(result: dict[str, Any], job_id: str) -> None:
    """What a task of ``gated`` ends with."""
    content = result["structuredContent"]
    assert (content["job_id"], content["status"]) == (job_id, "completed")
    assert content["result"] == "passed"


@pytest.mark.needs("npm")
def test_the_typescript_sdk_1_runs_jobs(javascript: Run) -> None:
    check_jobs(javascript("sdk1.mjs", "@modelcontextprotocol/sdk"))


@pytest.mark.needs("npm")
@pytest.mark.parametrize(
    ("mode", "era"), [("legacy", "legacy"), ({"pin": "2026-07-28"}, "modern"), ("auto", "modern")]
)
def test_the_typescript_sdk_2_runs_jobs(javascript: Run, mode: Any, era: str) -> None:
    seen = javascript("sdk2.mjs", CLIENT, mode=mode)
    assert seen["connected"][0]["era"] == era
    check_jobs(seen)


@pytest.mark.needs("npm")
@pytest.mark.parametrize(
    ("script", "package", "options"),
    [
        ("sdk1.mjs", "@modelcontextprotocol/sdk", {}),
        ("sdk2.mjs", CLIENT, {"mode": "legacy"}),
        ("sdk2.mjs", CLIENT, {"mode": {"pin": "2026-07-28"}}),
        ("sdk2.mjs", CLIENT, {"mode": "auto"}),
    ],
)
def test_the_typescript_sdk_over_http_shows_the_token(
    javascript: Run, setup: Setup, script: str, package: str, options: dict[str, Any]
) -> None:
    with WebServer(setup.command) as server:
        reached = {"url": server.url, "headers": server.authorization}
        check_jobs(javascript(script, package, **options, **reached))


@pytest.mark.needs("npm")
@pytest.mark.parametrize("headers", [{}, bearer("guessed")])
@pytest.mark.parametrize(
    ("script", "package"), [("sdk1.mjs", "@modelcontextprotocol/sdk"), ("sdk2.mjs", CLIENT)]
)
def test_the_typescript_sdk_without_the_token_says_why(
    javascript: Run, setup: Setup, script: str, package: str, headers: dict[str, str]
) -> None:
    refused = pytest.raises(AssertionError, match="Authorization: Bearer")
    with WebServer(setup.command) as server, refused:
        javascript(script, package, mode="auto", url=server.url, headers=headers)


@pytest.mark.needs("npm")
def test_the_typescript_requester_of_tasks_drives_jobs(javascript: Run) -> None:
    seen = javascript("ext_tasks.mjs", CLIENT, "@modelcontextprotocol/ext-tasks")
    [capabilities] = seen["capabilities"]
    assert capabilities["execution"]
    assert capabilities["cancellation"]
    [created] = seen["created"]
    assert created["kind"] == "task"
    assert "at the gate" in seen["task"][-1]["statusMessage"]
    check_reading(seen, created["taskId"])
    [settled] = seen["settled"]
    assert settled["status"] == "completed"
    check_passed(settled["result"], created["taskId"])
    [cancelled] = seen["cancelled"]
    assert cancelled["status"] == "cancelled"
    [answered] = seen["answered"]
    check_answered(seen, answered["result"]["structuredContent"])
    [immediate] = seen["immediate"]
    assert immediate["kind"] == "immediate"
    assert immediate["outcome"]["result"]["structuredContent"] == {"result": {"answer": 42}}
    [resumed] = seen["resumed"]
    assert resumed["status"] == "completed"
    assert resumed["result"]["structuredContent"]["result"] == "worked for 4 s"


@pytest.mark.needs("fastmcp")
def test_fastmcp_drives_tasks(fastmcp: Run) -> None:
    seen = fastmcp(mode="auto")
    [created] = seen["created"]
    [status] = seen["task"]
    assert status["status"] == "working"
    check_reading(seen, created["taskId"])
    [ended] = seen["ended"]
    assert ended["status"] == "completed"
    check_passed(ended["result"], created["taskId"])
    [result] = seen["result"]
    assert result["result"] == "passed"
    [cancelled] = seen["cancelled"]
    assert cancelled["status"] == "cancelled"
    check_answered(seen, *seen["answered"])
    [transparent] = seen["transparent"]
    assert transparent["result"] == "worked for 1 s"


@pytest.mark.needs("fastmcp")
def test_fastmcp_waits_for_jobs_in_the_handshake_era(fastmcp: Run) -> None:
    seen = fastmcp(mode="legacy")
    [connected] = seen["connected"]
    assert set(connected["tools"]) >= BUILT_IN
    check_progress(seen["progress"])
    [waited] = seen["waited"]
    [job] = waited["jobs"]
    assert (job["job_id"], job["result"]) == (seen["handle"][0]["job_id"], "passed")
    check_answered(seen, *seen["answered"])
    [refused] = seen["refused"]
    assert refused["error"]["code"] == "job_not_found"
