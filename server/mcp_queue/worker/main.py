"""The worker process: wait at the gate, report the start, run the job, report the outcome."""

from __future__ import annotations

import os
import sys

from mcp_queue.jobs import events
from mcp_queue.jobs.run_folder import RunFolder
from mcp_queue.system import crash, tree
from mcp_queue.system.ours import read_ours
from mcp_queue.worker import output
from mcp_queue.worker.execute import execute
from mcp_queue.worker.reporter import Reporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Run the job of the run folder on the command line. Standard input is the gate."""
    run = RunFolder(sys.argv[1])
    own, parent = os.getpid(), os.getppid()
    if not _pass_gate():
        os._exit(0)
    job = _read_job(run)
    if job["dies_with_supervisor"]:
        tree.die_with_parent(parent)
    reporter = Reporter(run, job["bell"], job["attempt"], job.get("artifact_cap"))
    reporter.open(_events())
    # A spawned child would inherit these settings of the worker.
    sys.argv = [job["command"]]
    sys.path[:] = job["sys_path"]
    if job.get("pythonpath") is not None:
        os.environ["PYTHONPATH"] = job["pythonpath"]
    logs = output.watch(run)
    crash.point("worker.before_started")
    reporter.send(events.STARTED, {"pid": own})
    crash.point("worker.after_started")
    outcome = execute(job, reporter)
    _flush()
    logs.drain()
    reporter.finish(outcome)
    _flush()


def _pass_gate() -> bool:
    """Wait for the byte that means "recorded"; False at the end of the file: exit."""
    byte = os.read(0, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return bool(byte)


def _events() -> int | None:
    """The descriptor of the run's events. The file is locked while this process lives."""
    if sys.platform == "win32":
        return None
    return int(sys.argv[2])


def _read_job(run: RunFolder) -> dict[str, Any]:
    import json

    return json.loads(read_ours(run.job))


def _flush() -> None:
    """Flush the standard streams, also those that the job has set. Never raises."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # pyright: ignore[reportOptionalMemberAccess]
        except BaseException:
            pass
