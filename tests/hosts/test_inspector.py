"""The MCP Inspector, the reference client in TypeScript, uses the server in each era."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from support import needs, npm
from support.guards import GUARD
from support.serving import Setup
from support.web import WebServer, bearer

pytestmark = pytest.mark.needs("npm")

BUILT_IN = {"queue_health", "queue_list_jobs", "queue_stop_job", "queue_wait_job"}


@pytest.fixture
def command() -> list[str]:
    found = needs.given("npm", npm.package("@modelcontextprotocol/inspector"))
    return [str(npm.node()), str(found / "clients" / "launcher" / "build" / "index.js"), "--cli"]


@pytest.fixture
def inspect(command: list[str], setup: Setup) -> Callable[..., Any]:
    """What the Inspector prints about our server; each time it starts one and ends it."""
    program, *arguments = setup.command
    server = {"command": program, "args": arguments, "env": {**os.environ}}
    return inspecting(command, setup, server)


def inspecting(command: list[str], setup: Setup, server: dict[str, Any]) -> Callable[..., Any]:
    """The Inspector on the server that an ``mcp.json`` describes so."""
    folder = setup.folder
    config = folder / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"queue": server}}))
    options = ["--config", config, "--server", "queue", "--format", "json", "--quiet"]

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [*command, *options, *arguments],
            env={**os.environ, "HOME": str(folder), "USERPROFILE": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["result"]

    return run


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_the_tools_and_finds_their_schemas_portable(
    inspect: Callable[..., Any], era: str
):
    listed = inspect("--protocol-era", era, "--method", "tools/list", "--strict")
    assert {tool["name"] for tool in listed["tools"]} >= BUILT_IN


def call(inspect: Callable[..., Any], era: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a tool's answer."""
    method = ["--method", "tools/call", "--tool-name", tool]
    options = ["--protocol-era", era, *method, "--tool-args-json", json.dumps(arguments)]
    return inspect(*options)["structuredContent"]


def read(inspect: Callable[..., Any], era: str, uri: str) -> str:
    """The text of a resource."""
    answer = inspect("--protocol-era", era, "--method", "resources/read", "--uri", uri)
    (content,) = answer["contents"]
    assert content["uri"] == uri
    return content["text"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_reads_the_health(inspect: Callable[..., Any], era: str):
    assert json.loads(read(inspect, era, "queue://health"))["status"]


def test_the_inspector_runs_a_job_from_server_to_server(inspect: Callable[..., Any], setup: Setup):
    gate = setup.gate("gate")
    job_id = call(inspect, "legacy", "gated", gate=str(gate))["job_id"]
    uri = f"queue://jobs/{job_id}"
    while (status := json.loads(read(inspect, "modern", uri)))["progress"] < 10:
        pass
    assert status["status"] == "running"
    assert "waiting at the gate" in read(inspect, "legacy", f"{uri}/logs")
    gate.touch()
    [job] = call(inspect, "modern", "queue_wait_job", job_ids=[job_id])["jobs"]
    assert (job["status"], job["result"]) == ("completed", "passed")


def test_the_inspector_stops_a_job_of_another_server(inspect: Callable[..., Any]):
    job_id = call(inspect, "legacy", "slow", seconds=600)["job_id"]
    call(inspect, "legacy", "queue_stop_job", job_id=job_id)
    [job] = call(inspect, "legacy", "queue_wait_job", job_ids=[job_id])["jobs"]
    assert job["status"] == "stopped"


def test_the_inspector_settles_a_task_in_one_call(inspect: Callable[..., Any]):
    job = call(inspect, "modern", "slow", seconds=1)
    assert (job["status"], job["result"]) == ("completed", "worked for 1 s")


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_uses_a_server_over_http(command: list[str], setup: Setup, era: str):
    with WebServer(setup.command) as server:
        entry = {"type": "streamable-http", "url": server.url, "headers": server.authorization}
        inspect = inspecting(command, setup, entry)
        listed = inspect("--protocol-era", era, "--method", "tools/list", "--strict")
        assert {tool["name"] for tool in listed["tools"]} >= BUILT_IN
        answer = call(inspect, "legacy", "slow", seconds=0)
        uri = f"queue://jobs/{answer['job_id']}"
        call(inspect, era, "queue_wait_job", job_ids=[answer["job_id"]])
        assert json.loads(read(inspect, era, uri))["result"] == "worked for 0 s"


@pytest.mark.parametrize("headers", [{}, bearer("guessed")])
def test_the_inspector_without_the_token_gets_nothing(
    command: list[str], setup: Setup, headers: dict[str, str]
):
    with WebServer(setup.command) as server:
        entry = {"type": "streamable-http", "url": server.url, "headers": headers}
        with pytest.raises(AssertionError, match="auth_required"):
            inspecting(command, setup, entry)("--method", "tools/list")
