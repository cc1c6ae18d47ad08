"""The URIs of the queue's resources. A job id in a URI is checked before it is used."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from mcp_queue.jobs.artifact_names import fault_of
from mcp_queue.jobs.record import JOB_ID

FIXED = ("jobs", "health", "commands")
PARTS = ("", "logs", "logs/stdout", "logs/stderr", "result", "artifacts")
_SCHEME = "queue://"
_ARTIFACT = "artifacts/"
_OFFSET = re.compile(r"offset=([0-9]{1,18})", re.ASCII)


class QueueUri(NamedTuple):
    """A parsed URI: one of ``FIXED``, or a job and one of ``PARTS``.

    The part ``artifacts`` with a ``name`` is one artifact, whole or from the byte ``offset`` on.
    """

    kind: str
    job_id: str = ""
    part: str = ""
    name: str = ""
    offset: int | None = None


def parse(uri: str) -> QueueUri | None:
    """The parts of a URI, with percent-decoded id and name; None if it is no URI of the queue."""
    if not uri.startswith(_SCHEME):
        return None
    path = uri.removeprefix(_SCHEME)
    if path in FIXED:
        return QueueUri(path)
    kind, _, rest = path.partition("/")
    encoded, _, part = rest.partition("/")
    job_id = unquote(encoded, errors="replace")
    if kind != "jobs" or JOB_ID.fullmatch(job_id) is None:
        return None
    if part.startswith(_ARTIFACT):
        return _artifact(job_id, part.removeprefix(_ARTIFACT))
    if part not in PARTS or rest == f"{encoded}/":
        return None
    return QueueUri("job", job_id, part)


def _artifact(job_id: str, rest: str) -> QueueUri | None:
    encoded, _, query = rest.partition("?")
    name = unquote(encoded, errors="replace")
    offset = _OFFSET.fullmatch(query)
    if fault_of(name) is not None or (query and offset is None):
        return None
    return QueueUri("job", job_id, "artifacts", name, int(offset[1]) if offset else None)
