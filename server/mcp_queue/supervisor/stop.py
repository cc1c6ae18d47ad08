"""End runs early: after a stop or a deletion, at a timeout, over a memory limit, at shutdown."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, events, run_rows
from mcp_queue.supervisor import causes

if TYPE_CHECKING:
    from mcp_queue.supervisor.causes import Cause
    from mcp_queue.supervisor.state import Run, State


def apply_stop_requests(state: State) -> None:
    """Start to end the runs of jobs that clients stopped or deleted."""
    for run_id, deleted in run_rows.to_end(state.registry):
        run = state.runs.get(run_id)
        if run is not None:
            end(state, run, causes.DELETE if deleted else causes.STOP)


def end(state: State, run: Run, cause: Cause, grace: float | None = None) -> None:
    """Ask the run to stop, and kill its process tree after ``grace`` seconds.

    Only the first cause counts. A run whose job has ended already keeps its own grace.
    """
    if not _set_cause(run, cause):
        return
    # A full disk must not prevent the signal, which asks as well.
    with contextlib.suppress(OSError):
        events.append(run.folder.control, events.STOP, {"cause": cause.name})
    bell.ring(run.folder.bell)  # the job may wait for an answer
    run.worker.ask_to_stop()
    _kill_after(state, run, state.settings.stop_grace_seconds if grace is None else grace)


def kill_after_grace(state: State, run: Run) -> None:
    """Kill the worker of an ended job after the grace: a thread or child may keep it alive."""
    _kill_after(state, run, state.settings.stop_grace_seconds)


def end_at_once(state: State, run: Run, cause: Cause) -> None:
    """Kill the run's process tree now, even within its grace."""
    _set_cause(run, cause)
    _kill(state, run)


def _set_cause(run: Run, cause: Cause) -> bool:
    """Set why the run ends; False if it is ending or its job has ended."""
    if run.cause is not None or run.settled:
        return False
    run.cause = cause
    return True


def _kill_after(state: State, run: Run, seconds: float) -> None:
    run.timers.append(state.loop.later(seconds, partial(_kill, state, run)))


def _kill(state: State, run: Run) -> None:
    """Kill the run's process tree. Its death is handled like any other."""
    if run.run_id in state.runs:
        run.worker.kill()
