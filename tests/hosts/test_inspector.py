"""The MCP Inspector, the reference client in TypeScript, uses the server in each era."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import foreign, npm

BUILT_IN = {"queue_health", "queue_list_jobs", "queue_stop_job", "queue_wait_job"}


@pytest.fixture
def command(user_environment: dict[str, str]) -> list[str]:
    name = "@modelcontextprotocol/inspector"
    found = foreign.required(user_environment, npm.package(user_environment, name), name)
    return [str(npm.node()), str(found / "clients" / "launcher" / "build" / "index.js"), "--cli"]


def inspect(command: list[str], folder: Path, *arguments: str) -> Any:
    """What the Inspector prints about our server."""
    server = {
        "command": sys.executable,
        "args": ["-m", "mcp_queue", "serve"],
        "env": {**os.environ},
    }
    config = folder / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"queue": server}}))
    options = ["--config", config, "--server", "queue", "--format", "json", "--quiet"]
    done = subprocess.run(
        [*command, *options, *arguments],
        env={**os.environ, "HOME": str(folder), "USERPROFILE": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["result"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_the_tools_and_finds_their_schemas_portable(
    command: list[str], tmp_path: Path, era: str
):
    listed = inspect(command, tmp_path, "--protocol-era", era, "--method", "tools/list", "--strict")
    assert {tool["name"] for tool in listed["tools"]} >= BUILT_IN


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_reads_the_health(command: list[str], tmp_path: Path, era: str):
    read = ["--method", "resources/read", "--uri", "queue://health"]
    (content,) = inspect(command, tmp_path, "--protocol-era", era, *read)["contents"]
    assert content["uri"] == "queue://health"
    assert json.loads(content["text"])["status"]
