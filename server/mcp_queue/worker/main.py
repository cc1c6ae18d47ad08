"""The life of a worker: wait at the gate, say that it started, run the job, say how it ended."""

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
    """Run the job of the run folder that the command line names; standard input is the gate."""
    run = RunFolder(sys.argv[1])
    own, parent = os.getpid(), os.getppid()
    if not _pass_gate():
        os._exit(0)
    job = _read_job(run)
    if job["dies_with_supervisor"]:
        tree.die_with_parent(parent)
    reporter = Reporter(run, job["bell"], job["attempt"], job.get("artifact_cap"))
    reporter.open(_events())
    # Fields that a spawned child must not take for its own.
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
    logs.store()
    reporter.finish(outcome)
    _flush()


def _pass_gate() -> bool:
    """Wait for the byte that says "you are recorded"; end of file means leave."""
    opened = os.read(0, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return bool(opened)


def _events() -> int | None:
    """The descriptor of the run's events, which is locked for as long as this process lives."""
    if sys.platform == "win32":
        return None
    return int(sys.argv[2])


def _read_job(run: RunFolder) -> dict[str, Any]:
    import json

    return json.loads(read_ours(run.job))


def _flush() -> None:
    """Whatever the job has put in the place of the standard streams, or left of them."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # pyright: ignore[reportOptionalMemberAccess]
        except BaseException:
            pass
