"""The configuration that the project ships starts a server that works."""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters

from support.serving import GUARD, call, ended

CONFIG = Path(__file__).parents[2] / "claude_config.json"


async def test_the_server_of_claude_config(tmp_path: Path) -> None:
    [server] = json.loads(CONFIG.read_text("utf-8"))["mcpServers"].values()
    scripts = sysconfig.get_path("scripts")
    parameters = StdioServerParameters(
        command=server["command"],
        args=server["args"],
        env={**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])},
        cwd=tmp_path,
    )
    (tmp_path / "module.py").write_text("class Found:\n    pass\n", "utf-8")
    with anyio.fail_after(GUARD):
        async with Client(parameters) as client:
            handle = await call(client, "analyze_project", root_dir=str(tmp_path))
            view = await ended(client, handle["job_id"])
            assert (view["status"], view["result"]["classes"]) == ("completed", 1)
            assert (await call(client, "queue_health"))["in_memory"] is False
