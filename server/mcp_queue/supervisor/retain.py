"""Forget jobs that are past their retention: at the start, and now and then after it.

Rows go first, for good, then the folders of their runs: so a job is never shown without its files,
and folders that a crash leaves without a row are removed at the next start (`adopt`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.errors import QueueError
from mcp_queue.jobs import retention

if TYPE_CHECKING:
    from mcp_queue.supervisor.erasure import Erasure
    from mcp_queue.supervisor.folders import RunFolders
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import State

BATCH = 50  # jobs that go in one transaction
PAUSE = 0.01  # seconds between two batches, in which other work is done


class Retention:
    """Forgets what has expired, as long as the retention in force says."""

    def __init__(self, state: State, folders: RunFolders, erasure: Erasure) -> None:
        self._state = state
        self._folders = folders
        self._erasure = erasure
        self._timer: Timer | None = None
        self._seconds: float | None = None
        """The retention that the timer was set for."""

    def keep_time(self) -> None:
        """Look now, and from now on, if the retention is another than before."""
        seconds = self._state.settings.completed_job_retention_seconds
        if seconds == self._seconds:
            return
        self._seconds = seconds
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds != retention.KEEP:
            self._forget(seconds)

    def _forget(self, seconds: float) -> None:
        """Forget a batch of what has expired; more of it soon, else look after the interval."""
        try:
            gone = retention.forget_expired(self._state.registry, seconds, BATCH)
        except QueueError:  # the disk is full, or another process writes: it can wait
            gone = []
        for run_id in filter(None, gone):
            self._folders.remove(run_id)
        if gone:
            self._erasure.removed()
        wait = PAUSE if len(gone) == BATCH else retention.check_interval(seconds)
        self._timer = self._state.loop.later(wait, lambda: self._forget(seconds))
