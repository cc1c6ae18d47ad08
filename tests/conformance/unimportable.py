"""A command whose module the server can import and no worker can, so its jobs are lost."""

from __future__ import annotations

import os

from mcp_queue import command

if "MCP_QUEUE_RUN" in os.environ:
    raise ImportError("no worker can import this")


@command(use_queue=True)
def protocol_error_job() -> None:
    """Never begins."""
