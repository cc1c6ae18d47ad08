"""Decide how a job ended, from the cause, the outcome and the death of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.jobs import states
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.supervisor.executors import Death

if TYPE_CHECKING:
    from mcp_queue.supervisor.causes import Cause


def ending_of(cause: Cause | None, outcome: dict[str, Any] | None, death: Death | None) -> Ending:
    """The end of a job.

    ``outcome``: the last event of the run, which may be forged. ``death``: None while its worker
    lives. The first of cause, outcome and death that is given counts. A result is always stored.
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
    code = storable_text(outcome.get("error_code"), 1024)
    message = storable_text(outcome.get("error_message"))
    if status == states.STOPPED and outcome.get("reported") is True:
        return Ending(states.STOPPED, code, message, **result)
    message = message or "cancelled, though no stop was asked"
    return Ending(states.FAILED, code or "exception", message, **result)


def storable_text(value: object, limit: int | None = None) -> str | None:
    """A text that a run wrote, without the characters that cannot be stored."""
    return value[:limit].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def describe_death(death: Death) -> str:
    """How a worker ended, as words that continue 'the worker'."""
    if death.exit_code is not None:
        return f"exited with code {death.exit_code}"
    if death.signal is not None:
        return f"was killed by {death.signal}"
    return "is gone"


def _result(outcome: dict[str, Any]) -> dict[str, Any]:
    size = outcome.get("result_size")
    return {
        "result": storable_text(outcome.get("result")),
        "result_size": size if isinstance(size, int) and 0 <= size < 2**63 else None,
    }


def _without_outcome(death: Death) -> Ending:
    if death.exit_code is not None:
        code, message = "exit", f"the worker {describe_death(death)} before its command returned"
    elif death.signal is not None:
        code, message = "signal", f"the worker {describe_death(death)}"
    else:
        code, message = "interrupted", "the worker was gone when a new supervisor looked"
    return Ending(states.FAILED, code, message, exit_code=death.exit_code, signal=death.signal)
