"""Another attempt for a job whose worker or machine was lost, after a rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue import clock
from mcp_queue.jobs import retry_rows
from mcp_queue.system.identity import boot_id

if TYPE_CHECKING:
    from mcp_queue.jobs.run_rows import Ending
    from mcp_queue.supervisor.folders import RunFolders
    from mcp_queue.supervisor.loop import Timer
    from mcp_queue.supervisor.state import State

RETRIED = frozenset({"interrupted", "signal", "exit"})
LONGEST_REST = 60.0  # seconds, unless the first rest is set to be longer


def rest(first: float, attempt: int) -> float:
    """Seconds between the end of an attempt and the next one: doubled each time, up to a limit."""
    return min(first * 2.0 ** min(attempt - 1, 60), max(first, LONGEST_REST))


class Retries:
    """Lets jobs rest between two attempts, and looks when the next one is due."""

    def __init__(self, state: State, folders: RunFolders) -> None:
        self._state = state
        self._folders = folders
        self._timer: Timer | None = None
        self._due: float | None = None
        """When the timer looks, in monotonic seconds."""

    def retry(self, run_id: str, ending: Ending) -> bool:
        """Let the job of a lost run wait for its next attempt; False when it has to end."""
        if self._state.shutting_down or ending.error_code not in RETRIED:
            return False
        registry = self._state.registry
        attempt, most = retry_rows.attempts(registry, run_id)
        if attempt >= most:
            return False
        why = f"attempt {attempt} of {most} failed: {ending.error_message}"
        due = clock.monotonic() + rest(self._state.settings.retry_backoff_seconds, attempt)
        return retry_rows.retry(registry, run_id, why=why[:1024], boot=boot_id(), due=due)

    def adopt(self) -> None:
        """What rested when the machine went down is due."""
        longest = max(self._state.settings.retry_backoff_seconds, LONGEST_REST)
        latest = clock.monotonic() + longest
        retry_rows.forget_other_boots(self._state.registry, boot_id(), latest)

    def remove_deleted(self) -> None:
        """Remove the logs of jobs that were deleted, or evicted, between two attempts."""
        for run_id in retry_rows.deleted_at_rest(self._state.registry):
            self._folders.remove(run_id)

    def wake_for_next(self, now: float) -> None:
        """Look when the next job that rests beyond ``now`` is due."""
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
        self._state.looks.soon()
