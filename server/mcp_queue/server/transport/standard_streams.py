"""Reserve the standard streams of this process for the transport, before other code uses them."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from mcp_queue.server.transport import diagnostics


class StandardStreams(NamedTuple):
    """The descriptors that are connected to the client."""

    input: int
    output: int


def take_standard_streams() -> StandardStreams:
    """Move the standard streams to other descriptors, for good.

    After that, descriptor 0 is empty, and all output to descriptors 1 and 2, by Python, C or a
    child, goes to the client's standard error if the client reads that (`diagnostics`). Text that
    was printed and not yet flushed goes there, too.
    """
    descriptors = StandardStreams(_duplicate(0, os.O_RDONLY), _duplicate(1, os.O_WRONLY))
    diagnostics.install(_duplicate(2, os.O_WRONLY))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null > 0:
        os.close(null)
    return descriptors


def _duplicate(descriptor: int, mode: int) -> int:
    """A copy above the standard descriptors, not inherited; the null device for a closed one."""
    try:
        if sys.platform == "win32":
            return os.dup(descriptor)
        import fcntl

        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        os.dup2(os.open(os.devnull, mode), descriptor)
        return _duplicate(descriptor, mode)
