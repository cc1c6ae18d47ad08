"""Remove jobs that are past their retention, at the start and at intervals.

Rows are removed first, then the folders of their runs: so no job is shown without its files. A
crash may leave folders without a row; the next start removes them (`adopt`).
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

BATCH = 50  # jobs that are removed in one transaction
PAUSE = 0.01  # seconds between two batches, for other work


class Expiry:
    """Removes expired jobs by the retention in force."""

    def __init__(self, state: State, folders: RunFolders, erasure: Erasure) -> None:
        self._state = state
        self._folders = folders
        self._erasure = erasure
        self._timer: Timer | None = None
        self._seconds: float | None = None
        """The retention that the timer was set for."""

    def update(self) -> None:
        """If the retention in force has changed, remove expired jobs now and at its intervals."""
        seconds = self._state.settings.completed_job_retention_seconds
        if seconds == self._seconds:
            return
        self._seconds = seconds
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds != retention.KEEP:
            self._remove_expired(seconds)

    def _remove_expired(self, seconds: float) -> None:
        """Remove a batch of expired jobs, and schedule the next batch or the next check."""
        try:
            removed = retention.remove_expired(self._state.registry, seconds, BATCH)
        except QueueError:  # the disk is full, or another process writes: try again later
            removed = []
        for run_id in filter(None, removed):
            self._folders.remove(run_id)
        if removed:
            self._erasure.jobs_removed()
        wait = PAUSE if len(removed) == BATCH else retention.check_interval(seconds)
        self._timer = self._state.loop.later(wait, lambda: self._remove_expired(seconds))
