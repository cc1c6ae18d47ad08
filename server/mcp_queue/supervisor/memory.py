"""Memory limits: what all processes of a run use is looked at while a limited run lives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.supervisor import settle, stop
from mcp_queue.supervisor.ending import out_of_memory

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import Run, State

INTERVAL = 0.25  # seconds between two looks


def begin(state: State) -> None:
    """Look from now on if a run has a limit; call it for each new run."""
    limited = any(run.memory_limit is not None for run in state.runs.values())
    if state.memory_timer is None and limited:
        state.memory_timer = state.loop.later(INTERVAL, partial(_look, state))


def _look(state: State) -> None:
    state.memory_timer = None
    for run in list(state.runs.values()):
        if run.memory_limit is not None:
            _check(state, run, run.memory_limit)
    begin(state)


def _check(state: State, run: Run, limit: int) -> None:
    used = run.worker.memory(limit)
    if used <= limit:
        return
    settle.collect(state, run)  # a job that has just ended by itself keeps its end
    stop.end_at_once(state, run, out_of_memory(used, limit))
