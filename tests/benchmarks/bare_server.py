"""The floor: a server of the SDK alone, whose one tool answers with the shape of a handle."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

HANDLE = {
    "success": True,
    "job_id": "00000000-0000-4000-8000-000000000000",
    "status": "pending",
    "message": "Command 'noop' has been queued for execution",
}


async def list_tools(context: Any, params: Any) -> ListToolsResult:
    return ListToolsResult(tools=[Tool(name="noop", input_schema={"type": "object"})])


async def call_tool(context: Any, params: Any) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=str(HANDLE))], structured_content=HANDLE)


async def main() -> None:
    server: Server[Any] = Server(
        "bare", version="0", on_list_tools=list_tools, on_call_tool=call_tool
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
