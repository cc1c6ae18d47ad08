"""Start another attempt of a job whose worker or machine was lost, after a delay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.jobs import retry_rows
from mcp_queue.printable import DESCRIPTION_LIMIT
from mcp_queue.system.identity import boot_id

if TYPE_CHECKING:
    from mcp_queue.jobs.run_rows import Ending
    from mcp_queue.supervisor.folders import RunFolders
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import State

LONGEST_BACKOFF = 60.0  # seconds, unless `retry_backoff_seconds` is longer


def backoff(first: float, attempt: int) -> float:
    """Seconds between the end of an attempt and the next one: doubled each time, up to a limit."""
    return min(first * 2.0 ** min(attempt - 1, 60), max(first, LONGEST_BACKOFF))


class Retries:
    """Delays the next attempts of jobs, and schedules a check when the next one is due."""

    def __init__(self, state: State, folders: RunFolders) -> None:
        self._state = state
        self._folders = folders
        self._timer: Timer | None = None
        self._due: float | None = None
        """When the timer is due, in monotonic seconds."""

    def retry(self, run_id: str, ending: Ending) -> bool:
        """Let the job of a lost run wait for its next attempt; False if the job must end."""
        if self._state.shutting_down:
            return False
        registry = self._state.registry
        attempt, most = retry_rows.attempts(registry, run_id)
        if attempt >= most:
            return False
        why = f"attempt {attempt} of {most} failed: {ending.error_message}"
        due = clock.monotonic() + backoff(self._state.settings.retry_backoff_seconds, attempt)
        return retry_rows.retry(
            registry, run_id, why=why[:DESCRIPTION_LIMIT], boot=boot_id(), due=due
        )

    def adopt(self) -> None:
        """Make jobs that waited for an attempt at the last boot due now."""
        longest = max(self._state.settings.retry_backoff_seconds, LONGEST_BACKOFF)
        latest = clock.monotonic() + longest
        retry_rows.forget_other_boots(self._state.registry, boot_id(), latest)

    def remove_deleted(self) -> None:
        """Remove the logs of jobs that were deleted, or evicted, between two attempts."""
        for run_id in retry_rows.deleted_while_waiting(self._state.registry):
            self._folders.remove(run_id)

    def schedule_next(self, now: float) -> None:
        """Schedule a check for the next attempt that is due after ``now``."""
        due = retry_rows.next_due(self._state.registry, now)
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due, self._timer = due, None
        if due is not None:
            self._timer = self._state.loop.later(due - clock.monotonic(), self._wake)

    def _wake(self) -> None:
        self._due = None
        self._state.checks.soon()
