"""Log messages of this process, its packages included, without terminal control sequences.

Messages and tracebacks may contain text from clients. This applies only if the program has not
configured logging itself.
"""

from __future__ import annotations

import logging

from mcp_queue.printable import as_message


class HarmlessFormatter(logging.Formatter):
    """Formats message and traceback with control characters escaped; all lines but the first are
    indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return as_message(super().format(record))


def install() -> None:
    """Use the formatter for records that no configured handler takes."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(HarmlessFormatter())
