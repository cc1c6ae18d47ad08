"""``python -m mcp_queue``: the same as the command ``mcp-queue``."""

from __future__ import annotations

from mcp_queue.cli import main

main()
