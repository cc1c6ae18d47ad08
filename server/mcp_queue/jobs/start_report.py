"""What a supervisor tells who started it, on its standard output, until it has taken charge."""

from __future__ import annotations

import os
from contextlib import suppress

IN_CHARGE = b"mcp-queue: in charge\n"
NOT_NEEDED = b"mcp-queue: not needed\n"


def report(what: bytes) -> None:
    """Say ``what``, and from now on write standard output to the log, as standard error is."""
    with suppress(OSError):  # who started it may be gone
        os.write(1, what)
    os.dup2(2, 1)
