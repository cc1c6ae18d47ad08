"""Store the end of a run: its job ends, or waits again."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mcp_queue.jobs import run_rows, seals, spare, states
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.supervisor import run_events, stop
from mcp_queue.supervisor.ending import describe_death, ending_of

if TYPE_CHECKING:
    from mcp_queue.supervisor.executors import Death
    from mcp_queue.supervisor.folders import RunFolders
    from mcp_queue.supervisor.log_cap import LogCap
    from mcp_queue.supervisor.retry import Retries
    from mcp_queue.supervisor.state import Run, State


class Settler:
    """Ends the jobs of runs and frees their slots."""

    def __init__(
        self, state: State, folders: RunFolders, retries: Retries, log_cap: LogCap
    ) -> None:
        self._state = state
        self._folders = folders
        self._retries = retries
        self._log_cap = log_cap

    def collect(self, run: Run) -> None:
        """Store the run's new events. With an outcome, end the job; the slot stays taken."""
        if run.death is not None:
            self._settle(run, run.death)
            return
        run_events.store_new(self._state, run)
        if run.outcome is None or run.settled or run.cause is not None:
            return
        ending = ending_of(None, run.outcome, None)
        run_rows.finish(self._state.registry, run.run_id, ending, gone=False)
        run.settled = True
        stop.kill_after_grace(self._state, run)

    def on_death(self, run: Run) -> None:
        """A worker is dead: kill the processes it left, end its job, free its slot."""
        self._state.loop.forget(run.worker)
        for timer in run.timers:
            timer.cancel()
        run.death = run.worker.reap()
        self._settle(run, run.death)

    def requeue(self, run_id: str, why: str, *, counted: bool = True) -> None:
        """No user code ran: the job waits again, or fails after too many such starts.

        ``counted``: see `run_rows.put_back`.
        """
        if run_rows.put_back(self._state.registry, run_id, counted=counted):
            self._folders.remove(run_id)
            return
        self.retry_or_fail(run_id, why)

    def retry_or_fail(self, run_id: str, why: str) -> None:
        """The job of a lost run has failed, unless it gets another attempt."""
        self._finish(run_id, Ending(states.FAILED, "interrupted", why), may_retry=True)

    def fail_untrusted(self, run_id: str, why: str) -> None:
        """The job or its run has no valid seal: the job fails. No process or file is touched."""
        message = why.format(key=self._state.key_file)
        self._finish(run_id, Ending(states.FAILED, seals.UNTRUSTED, message), may_retry=False)
        self._state.checks.soon()

    def _settle(self, run: Run, death: Death) -> None:
        """Store the end of a dead run. Repeated later if the registry cannot be written now."""
        run_events.store_new(self._state, run)
        if run.outcome is None:
            run.outcome = spare.take(run.folder.result)
        run.worker.kill_leftovers()
        with suppress(OSError):
            os.unlink(run.folder.bell)  # it exists if the run asked a question
        self._log_cap.finish(run)
        if run.settled:
            run_rows.forget(self._state.registry, run.run_id)
        elif run.started or run.outcome is not None or run.cause is not None:
            may_retry = run.outcome is None and run.cause is None
            self._finish(run.run_id, ending_of(run.cause, run.outcome, death), may_retry=may_retry)
        else:
            why = f"the worker ended before its job began ({describe_death(death)})"
            # An adopted worker left because its supervisor died before it opened the gate.
            known = death.exit_code is not None or death.signal is not None
            self.requeue(run.run_id, why, counted=known)
        run.worker.close()
        del self._state.runs[run.run_id]
        self._folders.remove_if_deleted(run.run_id)
        self._state.checks.soon()

    def _finish(self, run_id: str, ending: Ending, *, may_retry: bool) -> None:
        if not (may_retry and self._retries.retry(run_id, ending)):
            run_rows.finish(self._state.registry, run_id, ending, gone=True)
