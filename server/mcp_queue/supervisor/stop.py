"""End runs early: on a client's stop or delete, at a timeout, at shutdown."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, events, run_rows
from mcp_queue.supervisor import ending

if TYPE_CHECKING:
    from mcp_queue.supervisor.ending import Cause
    from mcp_queue.supervisor.state import Run, State


def obey(state: State) -> None:
    """Begin to end the runs whose jobs clients asked to stop or deleted."""
    for run_id, deleted in run_rows.to_end(state.registry):
        run = state.runs.get(run_id)
        if run is not None:
            end(state, run, ending.DELETE if deleted else ending.STOP)


def end(state: State, run: Run, cause: Cause, grace: float | None = None) -> None:
    """Ask the run to stop; kill its tree when it has not within ``grace`` seconds.

    Only the first cause counts. A run whose job has ended by itself is left to its own grace.
    """
    if not _is_the_cause(run, cause):
        return
    # The signal asks as well; a full disk must not keep it back.
    with contextlib.suppress(OSError):
        events.append(run.folder.control, events.STOP, {"cause": cause.name})
    bell.ring(run.folder.bell)  # of a job that waits for an answer
    run.worker.ask_to_stop()
    _kill_after(state, run, state.settings.stop_grace_seconds if grace is None else grace)


def let_go(state: State, run: Run) -> None:
    """The job of a run has ended; a thread or a child may keep its worker from leaving."""
    _kill_after(state, run, state.settings.stop_grace_seconds)


def end_at_once(state: State, run: Run, cause: Cause) -> None:
    """Kill the run's tree, whatever else was begun."""
    _is_the_cause(run, cause)
    _kill(state, run)


def _is_the_cause(run: Run, cause: Cause) -> bool:
    """Take down why the run ends, if it does not end already."""
    if run.cause is not None or run.settled:
        return False
    run.cause = cause
    return True


def _kill_after(state: State, run: Run, seconds: float) -> None:
    run.timers.append(state.loop.later(seconds, partial(_kill, state, run)))


def _kill(state: State, run: Run) -> None:
    """Kill the run's tree; its death is then seen as any other."""
    if run.run_id in state.runs:
        run.worker.kill()
