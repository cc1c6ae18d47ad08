"""Where runs are executed. Each executor starts runs, hands out their workers, and adopts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mcp_queue.jobs.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended: exactly one is set when it was seen, none when it was not."""

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

    def stand_back(self, niceness: int) -> bool:
        """Let other programs go first; False when it has to be tried again."""
        ...

    def open_gate(self) -> None:
        """Let it go on: it is recorded."""
        ...

    def abandon(self) -> None:
        """Send it away from its gate: it cannot be recorded."""
        ...

    def ask_to_stop(self) -> None:
        """Ask it to end by itself."""
        ...

    def kill(self) -> None:
        """Kill it and all it started."""
        ...

    def memory(self, enough: int) -> int:
        """Bytes that it and all it started have in memory; exact if more than ``enough``."""
        ...

    def reap(self) -> Death:
        """How it ended; only after its death."""
        ...

    def clear(self) -> None:
        """After its death, end what it left behind."""
        ...

    def close(self) -> None:
        """Release what watches it."""
        ...


class Executor(Protocol):
    """A place where runs are executed."""

    def start(self, run_id: str, folder: RunFolder, origin: dict[str, Any]) -> Worker:
        """Start a worker behind its gate. Raises `OSError` when it cannot be started."""
        ...

    def adopt(self, run_id: str, folder: RunFolder, identity: str) -> Worker:
        """Take over a worker of a dead supervisor, dead or alive, wherever it is."""
        ...

    def reap(self) -> None:
        """Take leave of what ended after its worker had; after each signal that a child ended."""
        ...
