"""The end of an in-memory registry: end its runs, then remove its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.supervisor import causes, stop

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State


def begin(state: State, seconds: float) -> None:
    """Ask all runs to stop, and kill them after ``seconds``. No run starts from now on.

    A second call can only shorten the time, as when the owner is killed while it waits.
    """
    state.shutting_down = True
    stop.apply_stop_requests(state)  # jobs stopped just before get their own, shorter grace
    for run in list(state.runs.values()):
        if seconds > 0:
            stop.end(state, run, causes.SHUTDOWN, grace=seconds)
        else:
            stop.end_at_once(state, run, causes.SHUTDOWN)
    state.checks.soon()


def finished(state: State) -> bool:
    """Whether a shutdown has begun and all runs have ended."""
    return state.shutting_down and not state.runs
