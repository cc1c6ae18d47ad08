"""The end of an in-memory registry: its runs are ended, then its folder goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.supervisor import ending, stop

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State


def begin(state: State, seconds: float) -> None:
    """End all runs: asked to stop, killed after ``seconds``; nothing new starts.

    A second call, as when the owner is killed while it waits, can only shorten the time.
    """
    state.shutting_down = True
    stop.obey(state)  # what was stopped or deleted just before gets its own, shorter grace
    for run in list(state.runs.values()):
        if seconds > 0:
            stop.end(state, run, ending.SHUTDOWN, grace=seconds)
        else:
            stop.end_at_once(state, run, ending.SHUTDOWN)
    state.looks.soon()


def finished(state: State) -> bool:
    """Whether a begun shutdown has nothing left to end."""
    return state.shutting_down and not state.runs
