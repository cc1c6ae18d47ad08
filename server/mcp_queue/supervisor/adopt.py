"""Take over the runs of a dead supervisor, and remove bells without a server."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mcp_queue.jobs import bell, member_rows, run_rows, seals, states
from mcp_queue.supervisor import stop
from mcp_queue.supervisor.state import Run
from mcp_queue.system.identity import boot_of, own_identity

if TYPE_CHECKING:
    from mcp_queue.jobs.run_rows import RunRow
    from mcp_queue.supervisor.dispatch import Dispatcher
    from mcp_queue.supervisor.settle import Settler
    from mcp_queue.supervisor.state import State


def adopt(state: State, dispatcher: Dispatcher, settler: Settler) -> None:
    """Adopt every run of the registry. A dead run ends in the same way as our own."""
    here = boot_of(own_identity())
    rows = run_rows.all_runs(state.registry)
    key = seals.read_key(state.key_file) if rows else b""
    for row in rows:
        if row.identity is None and row.boot != here:
            # A power cut may have lost the record of the spawn.
            settler.retry_or_fail(row.run_id, "the machine went down as the job began")
        elif row.identity is None:
            # Its spawn was never recorded, so its gate never opened: it did not run.
            why = "the supervisor died before the job began"
            settler.requeue(row.run_id, why, counted=False)
        elif not seals.holds_for_run(key, row):
            settler.fail_untrusted(row.run_id, seals.NOT_FOLLOWED)
        else:
            started = row.started or row.boot != here
            run = _run_of(state, row, row.identity, started)
            dispatcher.supervise(run, row.began)
            if run.settled:
                stop.kill_after_grace(state, run)
    for run_id in run_rows.without_run(state.registry):
        settler.fail_untrusted(run_id, seals.NOT_OURS)


def _run_of(state: State, row: RunRow, identity: str, started: bool) -> Run:
    folder = state.folder.run(row.run_id)
    return Run(
        run_id=row.run_id,
        folder=folder,
        worker=state.executor.adopt(row.run_id, folder, identity),
        timeout=row.timeout,
        memory_limit=row.memory_limit,
        offset=row.events_offset,
        started=started,
        settled=row.job_status in states.ENDED or row.job_run_id != row.run_id,
    )


def remove_stale_bells(state: State) -> None:
    """Remove bells of servers that died before they were recorded.

    Ringing a bell in use succeeds.
    """
    recorded = {server.bell for server in member_rows.servers(state.registry)}
    for name in os.listdir(state.folder.bells):
        path = os.path.join(state.folder.bells, name)
        if path != state.folder.bell and path not in recorded and not bell.ring(path):
            with contextlib.suppress(OSError):
                os.unlink(path)
