"""What follows from what a run said and from its death: its job ends, or waits again."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import run_rows, seals, spare, states
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.supervisor import folders, log_cap, news, retry, stop
from mcp_queue.supervisor.ending import ending_of, words_of

if TYPE_CHECKING:
    from mcp_queue.supervisor.executors import Death
    from mcp_queue.supervisor.state import Run, State


def collect(state: State, run: Run) -> None:
    """Store the run's news. A job that ended by itself is settled now, its slot is not free yet."""
    if run.death is not None:
        _settle(state, run, run.death)
        return
    news.take_in(state, run)
    if run.outcome is None or run.settled or run.cause is not None:
        return
    run_rows.finish(state.registry, run.run_id, ending_of(None, run.outcome, None), gone=False)
    run.settled = True
    let_go(state, run)


def let_go(state: State, run: Run) -> None:
    """The job of a run has ended; a thread or a child may keep its worker from leaving."""
    grace = state.settings.stop_grace_seconds
    run.timers.append(state.loop.later(grace, partial(stop.kill, state, run)))


def on_death(state: State, run: Run) -> None:
    """A worker is dead: end what it left, settle its job, free its slot."""
    state.loop.forget(run.worker)
    for timer in run.timers:
        timer.cancel()
    run.death = run.worker.reap()
    _settle(state, run, run.death)


def _settle(state: State, run: Run, death: Death) -> None:
    """All that follows a death; once more at the next look, if the registry cannot take it now."""
    news.take_in(state, run)
    if run.outcome is None:
        run.outcome = spare.take(run.folder.result)
    run.worker.clear()
    with suppress(OSError):
        os.unlink(run.folder.bell)  # where it asked something
    log_cap.check(state, run)
    if run.settled:
        run_rows.forget(state.registry, run.run_id)
    elif run.started or run.outcome is not None or run.cause is not None:
        _end(state, run, death)
    else:
        why = f"the worker ended before its job began ({words_of(death)})"
        # One that is adopted has left because its supervisor died before it opened the gate.
        known = death.exit_code is not None or death.signal is not None
        never_ran(state, run.run_id, why, counted=known)
    run.worker.close()
    del state.runs[run.run_id]
    folders.remove_if_deleted(state, run.run_id)
    state.look_soon()


def never_ran(state: State, run_id: str, why: str, *, counted: bool = True) -> None:
    """No user code ran: the job waits again, or fails when that keeps happening.

    ``counted``: see `run_rows.put_back`.
    """
    if run_rows.put_back(state.registry, run_id, counted=counted):
        folders.remove(state, run_id)
        return
    lost(state, run_id, why)


def lost(state: State, run_id: str, why: str) -> None:
    """Nobody knows how far the run came: its job has failed."""
    ending = Ending(states.FAILED, error_code="interrupted", error_message=why)
    if retry.retry(state, run_id, ending):
        return
    run_rows.finish(state.registry, run_id, ending, gone=True)


def untrusted(state: State, run_id: str, why: str) -> None:
    """What is to run, or ran, bears no seal of ours: its job has failed, and nothing is touched."""
    ending = Ending(states.FAILED, seals.UNTRUSTED, why.format(key=state.key_file))
    run_rows.finish(state.registry, run_id, ending, gone=True)
    state.look_soon()


def _end(state: State, run: Run, death: Death) -> None:
    ending = ending_of(run.cause, run.outcome, death)
    lost = run.outcome is None and run.cause is None
    if not (lost and retry.retry(state, run.run_id, ending)):
        run_rows.finish(state.registry, run.run_id, ending, gone=True)
