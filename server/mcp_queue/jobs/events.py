"""What a run says (``events.jsonl``, upwards) and what it is told (``control.jsonl``, downwards).

Append-only JSON lines with a version ``v`` and a kind ``e``. A reader ignores keys and kinds it
does not know and leaves a line without its newline for later. Kinds upwards: ``started`` (before
any user code), ``progress``, ``artifact``, ``ask`` and ``withdraw`` (of questions), and last
``outcome``; downwards: ``stop``, ``answer``, and ``withdrawn`` when nobody can answer any more.
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

INLINE_RESULT = 16 * 1024  # bytes; larger results stand in result.json
INLINE_DEPTH = 100  # deeper ones too: who lists jobs must be able to parse every one


def append(path: str, kind: str, fields: dict[str, object]) -> None:
    """Append one line; whole, or not at all, or when the process dies in it, without its newline.

    Raises `OSError`, as on a full disk.
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
    """`append` for a file that is open."""
    before = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, line)
    except OSError:
        os.ftruncate(descriptor, before)  # half a line would spoil the next one
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte of ``data``; one ``write`` where the system takes it whole."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read(path: str, offset: int) -> tuple[list[dict[str, object]], int]:
    """The whole lines from byte ``offset`` on, and the offset behind them.

    A missing file reads as empty. A line that is not a JSON object of this version is passed
    over: it can only come from a newer or a damaged writer.
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
    """The event of a line; None for what is none of this version."""
    import json

    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(event, dict) and event.get("v") == VERSION:  # pyright: ignore[reportUnknownMemberType]
        return event  # pyright: ignore[reportUnknownVariableType]
    return None
