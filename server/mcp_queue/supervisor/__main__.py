"""``python -m mcp_queue.supervisor REGISTRY OWNER KEY_FILE``: started by servers, never by hand."""

from __future__ import annotations

from mcp_queue.supervisor.main import main

main()
