"""Another attempt for a job whose worker or machine was lost, after a rest."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.jobs import retry_rows
from mcp_queue.system.identity import boot_id

if TYPE_CHECKING:
    from mcp_queue.jobs.run_rows import Ending
    from mcp_queue.supervisor.state import State

RETRIED = frozenset({"interrupted", "signal", "exit"})
LONGEST_REST = 60.0  # seconds, unless the first rest is set to be longer


def retry(state: State, run_id: str, ending: Ending) -> bool:
    """Let the job of a lost run wait for its next attempt; False when it has to end."""
    if state.shutting_down or ending.error_code not in RETRIED:
        return False
    attempt, most = retry_rows.attempts(state.registry, run_id)
    if attempt >= most:
        return False
    why = f"attempt {attempt} of {most} failed: {ending.error_message}"
    due = clock.monotonic() + rest(state.settings.retry_backoff_seconds, attempt)
    return retry_rows.retry(state.registry, run_id, why=why[:1024], boot=boot_id(), due=due)


def rest(first: float, attempt: int) -> float:
    """Seconds between the end of an attempt and the next one: doubled each time, up to a limit."""
    return min(first * 2.0 ** min(attempt - 1, 60), max(first, LONGEST_REST))


def adopt(state: State) -> None:
    """What rested when the machine went down is due."""
    longest = max(state.settings.retry_backoff_seconds, LONGEST_REST)
    retry_rows.forget_other_boots(state.registry, boot_id(), clock.monotonic() + longest)


def remove_deleted(state: State) -> None:
    """Remove the logs of jobs that were deleted, or gave way to others, between two attempts."""
    for run_id in retry_rows.deleted_at_rest(state.registry):
        shutil.rmtree(state.folder.run(run_id).path, ignore_errors=True)


def wake_for_next(state: State, now: float) -> None:
    """Look when the next job that rests beyond ``now`` is due."""
    due = retry_rows.next_due(state.registry, now)
    if due == state.retry_due:
        return
    if state.retry_timer is not None:
        state.retry_timer.cancel()
    state.retry_due = due
    state.retry_timer = None
    if due is not None:
        state.retry_timer = state.loop.later(due - clock.monotonic(), partial(_wake, state))


def _wake(state: State) -> None:
    state.retry_due = None
    state.look_soon()
