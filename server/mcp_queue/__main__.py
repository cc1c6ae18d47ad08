"""``python -m mcp_queue``: the same as the command ``mcp-queue``."""

from __future__ import annotations

from mcp_queue import search_path

search_path.remove_working_folder()  # before anything is imported that a file there could shadow

from mcp_queue.cli import main  # noqa: E402

main()
