"""Messages between a run and its supervisor, in append-only files of JSON lines.

The run writes ``events.jsonl``, the supervisor writes ``control.jsonl``. Each line has a version
``v`` and a kind ``e``. A reader ignores unknown keys and kinds, and reads a line without a newline
later. The kinds and their other keys, with ``?`` where a key may be missing:

``events.jsonl``
    ``started``: ``pid``. Before any user code.
    ``progress``: ``progress?`` (percent), ``description?``. A missing one is unchanged.
    ``ask``: ``questions``, each with ``key``, ``message``, ``schema``, ``person``.
    ``withdraw``: ``keys`` of questions that no call waits for any more.
    ``artifact``: ``name``, ``kind``, ``mime_type``, ``title``, ``description?``; ``file`` and
        ``size``, or for a link ``uri``; and ``place`` if it belongs to the result.
    ``outcome``: ``status`` (completed, failed or stopped), ``error_code?``, ``error_message?``,
        ``result?`` (JSON as a text; a large one is in ``result.json``), ``result_size?``,
        ``reported?`` (true: a job class reported this end). The last line.

``control.jsonl``
    ``stop``: ``cause`` (`supervisor.causes`).
    ``answer``: ``key`` of the question, ``action``, ``content`` (the values, if accepted).
    ``withdrawn``: ``keys`` that the run withdrew and that have no answer. None will come.
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
    """Append one line. Raises `OSError`, for example on a full disk.

    What was written before such an error is removed again. If the process dies meanwhile, a part
    without the newline may remain.
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
