"""The addresses of the queue's resources. A job id in one is data: checked before all else."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from mcp_queue.jobs.record import JOB_ID

FIXED = ("jobs", "health", "commands")
PARTS = ("", "logs", "logs/stdout", "logs/stderr", "result")
_SCHEME = "queue://"


class Address(NamedTuple):
    """What a URI means: one of ``FIXED``, or a job and one of ``PARTS``."""

    kind: str
    job_id: str = ""
    part: str = ""


def parse(uri: str) -> Address | None:
    """The address of a URI; None if it cannot be one. The id is percent-decoded once."""
    if not uri.startswith(_SCHEME):
        return None
    path = uri.removeprefix(_SCHEME)
    if path in FIXED:
        return Address(path)
    kind, _, rest = path.partition("/")
    encoded, _, part = rest.partition("/")
    job_id = unquote(encoded, errors="replace")
    if kind != "jobs" or JOB_ID.fullmatch(job_id) is None:
        return None
    if part not in PARTS or rest == f"{encoded}/":
        return None
    return Address("job", job_id, part)
