"""Forget jobs that are past their retention: at the start, and now and then after it.

Rows go first, for good, then the folders of their runs: so a job is never shown without its files,
and folders that a crash leaves without a row are removed at the next start (`adopt`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mcp_queue.errors import QueueError
from mcp_queue.jobs import retention
from mcp_queue.supervisor import erasure, settle

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State

BATCH = 50  # jobs that go in one transaction
PAUSE = 0.01  # seconds between two batches, in which other work is done


def keep_time(state: State) -> None:
    """Look now, and from now on, if the retention is another than before."""
    seconds = state.settings.completed_job_retention_seconds
    if seconds == state.retained_for:
        return
    state.retained_for = seconds
    if state.retain_timer is not None:
        state.retain_timer.cancel()
        state.retain_timer = None
    if seconds != retention.KEEP:
        forget(state)


def forget(state: State) -> None:
    """Forget a batch of what has expired; more of it soon, else look again after the interval."""
    seconds = state.settings.completed_job_retention_seconds
    try:
        gone = retention.forget_expired(state.registry, seconds, BATCH)
    except QueueError:  # the disk is full, or another process writes: it can wait
        gone = []
    for run_id in filter(None, gone):
        settle.remove_folder(state, run_id)
    if gone:
        erasure.removed(state)
    wait = PAUSE if len(gone) == BATCH else retention.check_interval(seconds)
    state.retain_timer = state.loop.later(wait, partial(forget, state))
