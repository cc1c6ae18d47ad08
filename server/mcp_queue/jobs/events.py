"""Messages between a run and its supervisor, in append-only files of JSON lines.

The run writes ``events.jsonl``, the supervisor writes ``control.jsonl``. Each line has a version
``v`` and a kind ``e``. A reader ignores unknown keys and kinds, and reads a line without a newline
later. Events: ``started`` (before any user code), ``progress``, ``artifact``, ``ask`` and
``withdraw`` (for questions), and finally ``outcome``. Control messages: ``stop``, ``answer``, and
``withdrawn`` when a question cannot be answered any more.
"""

from __future__ import annotations

import os

from mcp_queue.system.ours import open_ours

VERSION = 1
STARTED = "started"
PROGRESS = "progress"
ASK = "ask"
WITHDRAW = "withdraw"
ARTIFACT = "artifact"
OUTCOME = "outcome"
STOP = "stop"
ANSWER = "answer"
WITHDRAWN = "withdrawn"

INLINE_RESULT = 16 * 1024  # bytes; larger results are in result.json
INLINE_DEPTH = 100  # deeper results, too, because every list of jobs is parsed as a whole


def append(path: str, kind: str, fields: dict[str, object]) -> None:
    """Append one line, completely or not at all.

    If the process dies meanwhile, a part without the newline may remain. Raises `OSError`, for
    example on a full disk.
    """
    descriptor = open_ours(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        append_to(descriptor, line_of(kind, fields))
    finally:
        os.close(descriptor)


def line_of(kind: str, fields: dict[str, object]) -> bytes:
    """One event as its line, with the newline."""
    import json

    event = {"v": VERSION, "e": kind, **fields}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def append_to(descriptor: int, line: bytes) -> None:
    """`append` for an open file."""
    size = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, line)
    except OSError:
        os.ftruncate(descriptor, size)  # the next line must not be appended to half a line
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, with a single ``write`` if the system accepts that."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read(path: str, offset: int) -> tuple[list[dict[str, object]], int]:
    """The events of all complete lines from byte ``offset`` on, and the offset after them.

    A missing file counts as empty. A line that is no JSON object of this version is skipped: only a
    newer or a faulty writer can have written it.
    """
    try:
        with open(open_ours(path, os.O_RDONLY), "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    found = (event_of(line) for line in data[:end].splitlines())
    return [event for event in found if event is not None], offset + end


def event_of(line: bytes) -> dict[str, object] | None:
    """The event of a line; None if the line is no event of this version."""
    import json

    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(event, dict) and event.get("v") == VERSION:  # pyright: ignore[reportUnknownMemberType]
        return event  # pyright: ignore[reportUnknownVariableType]
    return None
