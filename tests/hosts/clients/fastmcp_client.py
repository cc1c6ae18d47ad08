"""FastMCP's client: tasks transparently and by their handles; handles of ours without tasks."""

# It runs in an environment of its own, which the type checker does not see.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp_tasks.client import call_tool_task

SETUP = json.loads(sys.argv[1])
OPTIONS = SETUP["options"]


def say(event: str, value: Any) -> None:
    print(json.dumps([event, value]), flush=True)


def open_gate() -> None:
    Path(OPTIONS["gate"]).touch()


async def progressed(progress: float, total: float | None, message: str | None) -> None:
    say("progress", {"progress": progress, "total": total, "message": message})
    if "at the gate" in (message or ""):
        open_gate()


async def answer(message: str, response_type: Any, params: Any, context: Any) -> dict[str, str]:
    say("asked", plain(params))
    return {"name": "Ada"}


def plain(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def read(client: Client, uri: str) -> str:
    [content] = await client.read_resource(uri)
    return content.text


async def use_tasks(client: Client) -> None:
    task = await call_tool_task(client, "gated", {"gate": OPTIONS["gate"]})
    say("created", plain(task.create_result))
    while "at the gate" not in ((status := await task.status()).status_message or ""):
        pass
    say("task", plain(status))
    uri = f"queue://jobs/{task.task_id}"
    say("status", json.loads(await read(client, uri)))
    say("logs", await read(client, f"{uri}/logs"))
    open_gate()
    say("ended", plain(await task.wait(timeout=120)))
    say("result", (await task.result()).structured_content)

    stopped = await call_tool_task(client, "slow", {"seconds": 600})
    await stopped.cancel()
    say("cancelled", plain(await stopped.wait(timeout=120)))

    say("answered", (await client.call_tool("greet")).structured_content)
    say("transparent", (await client.call_tool("slow", {"seconds": 1})).structured_content)


async def use_handles(client: Client) -> None:
    handle = await client.call_tool("gated", {"gate": OPTIONS["gate"]})
    say("handle", handle.structured_content)
    job_ids = [handle.structured_content["job_id"]]
    waiting = client.call_tool("queue_wait_job", {"job_ids": job_ids}, progress_handler=progressed)
    say("waited", (await waiting).structured_content)

    asking = await client.call_tool("greet")
    job_ids = [asking.structured_content["job_id"]]
    waiting = client.call_tool("queue_wait_job", {"job_ids": job_ids})
    say("answered", (await waiting).structured_content["jobs"][0])

    refused = await client.call_tool(
        "queue_get_job_status", {"job_id": "no-such-job"}, raise_on_error=False
    )
    say("refused", refused.structured_content)


async def main() -> None:
    server = SETUP["server"]
    transport = StdioTransport(
        command=server["command"], args=server["args"], cwd=server["cwd"], env=dict(os.environ)
    )
    async with Client(transport, mode=OPTIONS["mode"], elicitation_handler=answer) as client:
        say("connected", {"tools": [tool.name for tool in await client.list_tools()]})
        await (use_tasks if OPTIONS["mode"] == "auto" else use_handles)(client)


asyncio.run(main())
