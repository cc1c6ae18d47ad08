"""The reasons for which the supervisor ends a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the supervisor ends a run. With an error the job is failed, without one stopped.

    A job with a stop request is stopped in any case, and a deleted job stays deleted.
    """

    name: str
    """The name in the ``stop`` line, for people who read `control.jsonl`."""
    error_code: str | None = None
    error_message: str | None = None


STOP = Cause("stop")
DELETE = Cause("delete")
SHUTDOWN = Cause("shutdown")


def timeout(seconds: float) -> Cause:
    """The run took longer than its command allows."""
    return Cause("timeout", "timeout", f"ran longer than {seconds:g} seconds")


def out_of_memory(used: int, limit: int) -> Cause:
    """The processes of the run together use more memory than its command allows."""
    message = f"used {_size(used)} of memory, over its limit of {_size(limit)}"
    return Cause("memory", "out_of_memory", message)


def _size(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"
