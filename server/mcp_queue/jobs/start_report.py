"""A supervisor's report, on its standard output, to the process that started it."""

from __future__ import annotations

import os
from contextlib import suppress

IN_CHARGE = b"mcp-queue: in charge\n"
NOT_NEEDED = b"mcp-queue: not needed\n"


def report(what: bytes) -> None:
    """Write ``what``, and then redirect standard output to the log, like standard error."""
    with suppress(OSError):  # the process that started this one may have ended
        os.write(1, what)
    os.dup2(2, 1)
