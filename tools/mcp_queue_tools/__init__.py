"""Ready-made commands for mcp-queue: a code map of a Python project, and searches over it.

They use only the public API, as the commands of any author would. Importing the package registers
them and costs next to nothing: all that does the work is imported by the first call.
"""

from __future__ import annotations

from mcp_queue_tools.commands import analyze_project, search_classes, search_code

__all__ = ["analyze_project", "search_classes", "search_code"]
