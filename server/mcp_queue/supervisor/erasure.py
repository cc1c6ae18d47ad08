"""Erase what jobs have left in the registry's files, whenever nothing is to be done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.jobs import erase, job_rows, run_rows

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State

QUIET = 0.3  # seconds without work after which that is done
RETRY = 1.0  # seconds until it is tried again, if somebody was reading


def consider(state: State) -> None:
    """Erase soon, if anything was removed since the last time and nothing runs or waits."""
    if state.erase_timer is None and _is_due(state):
        state.erase_timer = state.loop.later(QUIET, partial(_erase, state))


def finish(state: State) -> None:
    """Erase now what is left to erase, before this process leaves."""
    if _is_due(state):
        erase.erase(state.registry)


def removed(state: State) -> None:
    """Jobs were forgotten, which is no change that anybody is told of."""
    state.erased_rev = -1
    consider(state)


def _is_due(state: State) -> bool:
    if state.runs or state.shutting_down:
        return False
    rev = run_rows.latest_rev(state.registry)
    return rev != state.erased_rev and not job_rows.unfinished(state.registry)


def _erase(state: State) -> None:
    state.erase_timer = None
    if not _is_due(state):
        return
    rev = run_rows.latest_rev(state.registry)
    if erase.erase(state.registry):
        state.erased_rev = rev
    else:
        state.erase_timer = state.loop.later(RETRY, partial(_erase, state))
