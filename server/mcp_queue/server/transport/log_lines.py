"""What this process logs, ours and that of packages, without control over a terminal.

Messages and tracebacks hold what clients sent. A program that sets up logging has its own way.
"""

from __future__ import annotations

import logging

from mcp_queue.printable import as_message


class HarmlessFormatter(logging.Formatter):
    """The message and the traceback, with what would control a terminal written out, and all lines
    but the first indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return as_message(super().format(record))


def put_in_place() -> None:
    """For all that is logged where nobody set up logging."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(HarmlessFormatter())
