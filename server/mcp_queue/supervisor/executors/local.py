"""Runs on this machine: one spawned process each, with the interpreter of who submitted it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from mcp_queue.supervisor.executors import Death
from mcp_queue.system import tree
from mcp_queue.system.identity import identity_of, pid_of
from mcp_queue.system.memory import resident_size
from mcp_queue.system.spawn import spawn_gated
from mcp_queue.system.watch import Watch, watch

if TYPE_CHECKING:
    import subprocess

    from mcp_queue.jobs.folder import RunFolder

# -P: the working folder is not on the module search path until the job's own path is set.
BOOT = (
    "import sys; sys.path.append(sys.argv.pop(1)); from mcp_queue.worker.main import main; main()"
)


class LocalExecutor:
    """Starts workers below this process, which must be a subreaper (`tree.become_subreaper`)."""

    def __init__(self) -> None:
        self._own: set[int] = set()  # pids of our unreaped workers

    def start(self, run_id: str, folder: RunFolder, origin: dict[str, Any]) -> LocalWorker:
        """Start a worker behind its gate. Raises `OSError` when it cannot be started."""
        environment = {**origin["env"], tree.MARK: run_id, "PYTHONUNBUFFERED": "1"}
        process = spawn_gated(
            [origin["interpreter"], "-P", "-c", BOOT, origin["package"], folder.path],
            cwd=origin["cwd"],
            env=environment,
            stdout=folder.stdout,
            stderr=folder.stderr,
        )
        self._own.add(process.pid)
        identity = identity_of(process.pid)
        watching = watch(identity) if identity is not None else None
        if watching is None:
            _close_gate(process)
            self._own.discard(process.pid)
            raise ChildProcessError(f"the worker ended at once (exit status {process.wait()})")
        return LocalWorker(run_id, watching, process, self._own)

    def adopt(self, run_id: str, identity: str) -> LocalWorker | None:
        """Watch a worker that another supervisor started."""
        watching = watch(identity)
        return LocalWorker(run_id, watching, None, self._own) if watching is not None else None


class LocalWorker:
    """A worker process, ours or adopted; only of ours the exit status can be known."""

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

    @property
    def identity(self) -> str:
        """Which process it is."""
        return self._watch.identity

    def fileno(self) -> int:
        """Readable once it is dead."""
        return self._watch.fileno()

    def open_gate(self) -> None:
        """Write the byte that it waits for."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"!")
        _close_gate(self._process)

    def abandon(self) -> None:
        """Close its gate and wait until it has left; it has run nothing of a user's."""
        self.reap()
        self._watch.close()

    def ask_to_stop(self) -> None:
        """SIGTERM; on Windows the control file alone asks."""
        if sys.platform != "win32":
            self._watch.send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started."""
        tree.kill_run(self._watch, self._run_id)

    def memory(self) -> int:
        """Resident bytes of its whole tree; 0 when it is gone."""
        return resident_size(pid_of(self.identity))

    def reap(self) -> Death:
        """Its exit code or signal; neither for an adopted one, whose parent is another."""
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

    def clear(self) -> None:
        """Kill what it left: children that fell to us, or what carries the run's mark."""
        if self._process is None or sys.platform != "linux":
            tree.kill_marked(self._run_id)
        tree.kill_strays(self._own)
        tree.end_last(self._run_id)
        tree.kill_strays(self._own)  # reaps those that had just ended

    def close(self) -> None:
        """Release the watch."""
        self._watch.close()


def _close_gate(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def prepare() -> None:
    """Make this process fit to own workers: a subreaper, without a mark of its own."""
    os.environ.pop(tree.MARK, None)
    tree.become_subreaper()
