"""Reserved room for an outcome that cannot be appended, because the job limited its file sizes.

Before user code runs, ``result.json`` is extended to this size, without using disk space. The
outcome is then written through a memory map, to which limits of file sizes do not apply. First
comes the line of the outcome, then the result, if it is too large for the line.
"""

from __future__ import annotations

import os

from mcp_queue.jobs import events
from mcp_queue.system import ours

SIZE = 64 * 1024  # bytes


def fits(line: bytes, result: bytes) -> bool:
    """Whether both fit into the reserved room."""
    return len(line) + len(result) <= SIZE


def write(descriptor: int, line: bytes, result: bytes) -> None:
    """Write an outcome into the open ``result.json``. Raises `OSError`."""
    import mmap

    with mmap.mmap(descriptor, SIZE) as room:
        room[: len(line) + len(result)] = line + result
        room.flush()


def take(path: str) -> dict[str, object] | None:
    """The outcome in ``result.json``; None if there is none. The file then has only the result."""
    try:
        content = ours.read_ours(path, SIZE)
    except OSError:
        return None
    line, _, rest = content.partition(b"\n")
    outcome = events.event_of(line)
    if outcome is None or outcome.get("e") != events.OUTCOME:
        return None
    size = outcome.get("result_size")
    if "result" not in outcome and isinstance(size, int):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(ours.open_ours(path + ".new", flags), "wb") as file:
            file.write(rest[:size])
        os.replace(path + ".new", path)
    return outcome
