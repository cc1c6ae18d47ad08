"""Take this process's standard streams before any other code can touch them."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Any, NamedTuple


class Claimed(NamedTuple):
    """The descriptors that lead to the client."""

    input: int
    output: int


def claim() -> Claimed:
    """Take the standard streams from everything else in this process, for good.

    From now on descriptor 0 is empty and what is written to descriptor 1, by Python, C or a child,
    goes to standard error. Text that was printed and not yet flushed goes there too.
    """
    claimed = Claimed(_duplicate(0, os.O_RDONLY), _duplicate(1, os.O_WRONLY))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without standard error
        os.dup2(null, 1)
        os.dup2(null, 2)
    if null > 2:
        os.close(null)
    output: Any = sys.stdout
    if isinstance(output, TextIOWrapper):
        output.reconfigure(line_buffering=True)
    return claimed


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
