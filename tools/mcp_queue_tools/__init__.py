"""Ready-made commands for mcp-queue: a code map of a Python project, and searches over it.

They use only the public API, like the commands of any author. Importing the package registers them
and is fast: the first call imports the modules that do the work.
"""

from __future__ import annotations

from mcp_queue_tools.commands import analyze_project, search_classes, search_code

__all__ = ["analyze_project", "search_classes", "search_code"]
