"""Runs on this machine: one spawned process each, with the interpreter of the submitter."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from typing import TYPE_CHECKING, Any

from mcp_queue.jobs.events import write_all
from mcp_queue.supervisor.executors import Death
from mcp_queue.system import marks, priority, signals, tree
from mcp_queue.system.identity import identity_of, is_here, pid_of
from mcp_queue.system.memory import Meter
from mcp_queue.system.ours import make_folder, open_ours
from mcp_queue.system.spawn import spawn_gated, without_relative_paths
from mcp_queue.system.watch import Watch, watch, watch_holder

if TYPE_CHECKING:
    import subprocess

    from mcp_queue.jobs.run_folder import RunFolder

# -P keeps the working folder off the module search path until the job's own path is set. Then the
# worker gets its original PYTHONPATH back.
BOOT = (
    "import sys; sys.path.append(sys.argv.pop(1)); from mcp_queue.worker.main import main; main()"
)
GONE = "mcp-queue: the working folder {} is gone; this job runs in an empty one\n"


class LocalExecutor:
    """Starts workers below this process, which must be a subreaper (`tree.become_subreaper`)."""

    def __init__(self) -> None:
        self._own: set[int] = set()  # pids of our unreaped workers

    def start(self, run_id: str, folder: RunFolder, origin: dict[str, Any]) -> LocalWorker:
        """Start a worker behind its gate. Raises `OSError` when it cannot be started."""
        environment = {
            **without_relative_paths(origin["env"]),
            marks.MARK: run_id,
            "PYTHONUNBUFFERED": "1",
        }
        argv = [origin["interpreter"], *origin.get("flags", ()), "-u", "-P", "-c", BOOT]
        process = spawn_gated(
            [*argv, origin["package"], folder.path],
            cwd=_working_folder(origin["cwd"], folder),
            env=environment,
            stdout=folder.stdout,
            stderr=folder.stderr,
            held=folder.events,
        )
        self._own.add(process.pid)
        marks.mark(process.pid, run_id)
        identity = identity_of(process.pid)
        watching = watch(identity) if identity is not None else None
        if watching is None:
            _close_gate(process)
            self._own.discard(process.pid)
            raise ChildProcessError(f"the worker ended at once (exit status {process.wait()})")
        return LocalWorker(run_id, watching, process, self._own)

    def adopt(self, run_id: str, folder: RunFolder, identity: str) -> LocalWorker:
        """Watch a worker that another supervisor started, maybe in another pid namespace."""
        watching = watch_holder(identity, folder.events)
        return LocalWorker(run_id, watching, None, self._own)

    def reap(self) -> None:
        """Reap orphans of runs that have ended by themselves. Called after each SIGCHLD."""
        tree.reap_strays(self._own)


class LocalWorker:
    """A worker process, started here or adopted. Only for the former the exit status is known."""

    def __init__(
        self,
        run_id: str,
        watching: Watch,
        process: subprocess.Popen[bytes] | None,
        own: set[int],
    ) -> None:
        self._run_id = run_id
        self._watch = watching
        self._process = process
        self._own = own
        self._meter = Meter(pid_of(watching.identity))

    @property
    def identity(self) -> str:
        """Which process it is."""
        return self._watch.identity

    def fileno(self) -> int:
        """Readable once it is dead."""
        return self._watch.fileno()

    def set_niceness(self, niceness: int) -> bool:
        """Set its niceness; False if it must be tried again."""
        return priority.stand_back(pid_of(self.identity), niceness)

    def open_gate(self) -> None:
        """Write the byte that it waits for."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"!")
        _close_gate(self._process)

    def abandon(self) -> None:
        """Close its gate and wait for its exit. It has run no user code."""
        self.reap()
        self._watch.close()

    def ask_to_stop(self) -> None:
        """Send SIGTERM. On Windows only the control file asks."""
        if sys.platform != "win32":
            self._watch.send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to it and to all processes that it started."""
        tree.kill_run(self._watch, self._run_id)

    def memory(self, enough: int) -> int:
        """Bytes used by its process tree, exact if more than ``enough``.

        0 if it is gone, or if its pid belongs to another namespace.
        """
        if not is_here(self.identity):
            return 0
        return self._meter.read(enough, tree.strays(self._own, self._run_id))

    def reap(self) -> Death:
        """Its exit code or signal; neither for an adopted worker, which is no child of ours."""
        if self._process is None:
            return Death()
        _close_gate(self._process)
        status = self._process.wait()
        self._own.discard(self._process.pid)
        if status >= 0:
            return Death(exit_code=status)
        try:
            return Death(signal=signal.Signals(-status).name)
        except ValueError:
            return Death(signal=f"signal {-status}")

    def kill_leftovers(self) -> None:
        """Kill the processes it left: those reparented to us, or those with the run's mark."""
        if self._process is None or sys.platform != "linux":
            tree.kill_marked(self._run_id)
        # An orphan without a mark may belong to any run: it is killed after the last of them.
        tree.kill_strays(self._own, self._run_id if self._own else None)

    def close(self) -> None:
        """Release the watch."""
        self._watch.close()


def _working_folder(wanted: str, folder: RunFolder) -> str:
    """The wanted folder, or an empty folder of the run if that is gone."""
    try:
        if stat.S_ISDIR(os.stat(wanted).st_mode):
            return wanted
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        return wanted  # the start will say what is wrong
    own = os.path.join(folder.path, "cwd")
    make_folder(own)
    log = open_ours(folder.stderr, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        write_all(log, os.fsencode(GONE.format(wanted or "of the server")))
    finally:
        os.close(log)
    return own


def _close_gate(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def prepare() -> None:
    """Prepare this process for workers: make it a subreaper without a mark in its environment.

    It also gets the signal settings of a process started from a shell; workers inherit them.
    """
    os.environ.pop(marks.MARK, None)
    signals.make_ordinary()
    tree.become_subreaper()
