"""How a run ended: decided by why we ended it, by what it said last, and by how its worker died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp_queue.jobs import states
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.supervisor.executors import Death


@dataclass(frozen=True, slots=True)
class Cause:
    """Why we end a run. One with an error ends its job as failed, the others as stopped."""

    name: str
    """As the run is told."""
    error_code: str | None = None
    error_message: str | None = None


STOP = Cause("stop")
DELETE = Cause("delete")
SHUTDOWN = Cause("shutdown")


def timeout(seconds: float) -> Cause:
    """It ran longer than its command allows."""
    return Cause("timeout", "timeout", f"ran longer than {seconds:g} seconds")


def out_of_memory(used: int, limit: int) -> Cause:
    """Its processes use more bytes together than its command allows."""
    message = f"used {_size(used)} of memory, over its limit of {_size(limit)}"
    return Cause("memory", "out_of_memory", message)


def ending_of(cause: Cause | None, outcome: dict[str, Any] | None, death: Death | None) -> Ending:
    """The end of a job.

    ``outcome``: the last event of the run, which may be forged. ``death``: None while its worker
    lives. The first that is there counts: cause, outcome, death. A result is kept in any case.
    """
    result = _result(outcome or {})
    if cause is not None:
        status = states.STOPPED if cause.error_code is None else states.FAILED
        return Ending(status, cause.error_code, cause.error_message, **result)
    if outcome is None:
        return _without_outcome(death or Death())
    status = outcome.get("status")
    if status == states.COMPLETED:
        return Ending(states.COMPLETED, **result)
    code, message = text_of(outcome.get("error_code"), 1024), text_of(outcome.get("error_message"))
    if status == states.STOPPED and outcome.get("reported") is True:
        return Ending(states.STOPPED, code, message, **result)
    message = message or "cancelled, though no stop was asked"
    return Ending(states.FAILED, code or "exception", message, **result)


def text_of(value: object, limit: int | None = None) -> str | None:
    """A text that a run wrote; what is not Unicode in it could not be stored."""
    return value[:limit].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def words_of(death: Death) -> str:
    """How a worker ended, as the end of a sentence about it."""
    if death.exit_code is not None:
        return f"exited with code {death.exit_code}"
    if death.signal is not None:
        return f"was killed by {death.signal}"
    return "is gone"


def _result(outcome: dict[str, Any]) -> dict[str, Any]:
    size = outcome.get("result_size")
    return {
        "result": text_of(outcome.get("result")),
        "result_size": size if isinstance(size, int) and 0 <= size < 2**63 else None,
    }


def _without_outcome(death: Death) -> Ending:
    if death.exit_code is not None:
        code, message = "exit", f"the worker {words_of(death)} before its command returned"
    elif death.signal is not None:
        code, message = "signal", f"the worker {words_of(death)}"
    else:
        code, message = "interrupted", "the worker was gone when a new supervisor looked"
    return Ending(states.FAILED, code, message, exit_code=death.exit_code, signal=death.signal)


def _size(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"
