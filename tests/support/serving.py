"""A server as a client starts it, and the official Python client on it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import TextContent, TextResourceContents

from support.guards import GUARD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_types import CallToolResult

COMMANDS = str(Path(__file__).parent.with_name("acceptance") / "acceptance_commands.py")

IMPORTING = "stray while importing"
"""What the module of the acceptance commands prints when it is imported, in a worker too."""

HANDSHAKE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "0"},
}

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {
        "extensions": {"io.modelcontextprotocol/tasks": {}}
    },
}


@dataclass
class Setup:
    """How a server is started: its settings, and where it lives."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=lambda: [COMMANDS])

    @property
    def command(self) -> list[str]:
        """The command line of the server, its configuration written."""
        config = self.folder / "config.json"
        config.write_text(
            json.dumps({"queue_manager": self.settings, "commands": self.commands}), "utf-8"
        )
        return [sys.executable, "-m", "mcp_queue", "serve", "--config", str(config)]

    def gate(self, name: str) -> Path:
        """The gate ``name``, closed; `Path.touch` opens it."""
        return self.folder / name

    @asynccontextmanager
    async def client(self, mode: Any = "auto", **options: Any) -> AsyncIterator[Client]:
        """The official client on a new server."""
        command, *arguments = self.command
        parameters = StdioServerParameters(
            command=command, args=arguments, env=dict(os.environ), cwd=str(self.folder)
        )
        with anyio.fail_after(GUARD * 4):
            async with Client(parameters, mode=mode, **options) as client:
                yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that must succeed; its text must say the same."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    assert isinstance(answer.structured_content, dict)
    assert json.loads(text_of(answer)) == answer.structured_content
    return answer.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> dict[str, str]:
    """The error of a call that must fail, complete in the text and in the structured content."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer
    assert isinstance(answer.structured_content, dict)
    assert json.loads(text_of(answer)) == answer.structured_content
    assert answer.structured_content["success"] is False
    error = answer.structured_content["error"]
    assert set(error) == {"code", "message", "hint"}
    assert all(error.values())
    return error


async def until(client: Client, job_id: str, **wanted: Any) -> dict[str, Any]:
    """The job's view once it shows all that is wanted."""
    with anyio.fail_after(GUARD):
        while True:
            view = await call(client, "queue_get_job_status", job_id=job_id)
            if all(view.get(key) == value for key, value in wanted.items()):
                return view
            await anyio.sleep(0.01)


async def ended(client: Client, job_id: str) -> dict[str, Any]:
    """The job's view once it has ended."""
    answer = await call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=GUARD)
    assert not answer["timed_out"]
    return answer["jobs"][0]


async def read(client: Client, uri: str) -> Any:
    """The JSON of a resource."""
    return json.loads(await read_text(client, uri))


async def read_text(client: Client, uri: str) -> str:
    """The text of a resource."""
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


def text_of(answer: CallToolResult) -> str:
    """The text that comes first in a tool's answer."""
    assert isinstance(answer.content[0], TextContent)
    return answer.content[0].text
