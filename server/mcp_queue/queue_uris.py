"""The addresses of the queue's own resources."""

from __future__ import annotations

from urllib.parse import quote

QUEUE = "queue://"  # the beginning of each


def job_uri(job_id: str, part: str = "") -> str:
    """The address of a job, or of its ``logs``, ``result`` or ``artifacts``."""
    return f"{QUEUE}jobs/{job_id}/{part}" if part else f"{QUEUE}jobs/{job_id}"


def artifact_uri(job_id: str, name: str) -> str:
    """The address of an artifact of a job."""
    return job_uri(job_id, f"artifacts/{quote(name, safe='')}")
