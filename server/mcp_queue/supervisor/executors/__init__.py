"""The interfaces of executors, which start and adopt runs, and of their workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mcp_queue.jobs.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended: one field is set, or none if its end was not seen."""

    exit_code: int | None = None
    signal: str | None = None


class Worker(Protocol):
    """The process of one run."""

    @property
    def identity(self) -> str:
        """Which process it is, for the registry."""
        ...

    def fileno(self) -> int:
        """Readable once the worker is dead."""
        ...

    def set_niceness(self, niceness: int) -> bool:
        """Set the niceness; False if it must be tried again."""
        ...

    def open_gate(self) -> None:
        """Let it go on, after it was recorded."""
        ...

    def abandon(self) -> None:
        """Make it exit at its gate, as it could not be recorded."""
        ...

    def ask_to_stop(self) -> None:
        """Ask it to end by itself."""
        ...

    def kill(self) -> None:
        """Kill it and all processes that it started."""
        ...

    def memory(self, enough: int) -> int:
        """Bytes of memory of it and all its processes; exact if more than ``enough``."""
        ...

    def reap(self) -> Death:
        """How it ended; only after its death."""
        ...

    def kill_leftovers(self) -> None:
        """After its death, kill the processes that it left."""
        ...

    def close(self) -> None:
        """Release the watch."""
        ...


class Executor(Protocol):
    """A place where runs are executed."""

    def start(self, run_id: str, folder: RunFolder, origin: dict[str, Any]) -> Worker:
        """Start a worker behind its gate. Raises `OSError` when it cannot be started."""
        ...

    def adopt(self, run_id: str, folder: RunFolder, identity: str) -> Worker:
        """Take over a worker of a dead supervisor. It may be dead or elsewhere."""
        ...

    def reap(self) -> None:
        """Reap processes that ended after their worker. Called after each SIGCHLD."""
        ...
