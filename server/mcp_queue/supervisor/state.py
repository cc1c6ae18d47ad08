"""What the supervisor knows: its registry, its runs, its settings. One object, one owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.jobs.bell import Bell
    from mcp_queue.jobs.folder import RegistryFolder, RunFolder
    from mcp_queue.jobs.member_rows import Server
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.run_rows import Claim
    from mcp_queue.jobs.shared_settings import SharedSettings
    from mcp_queue.supervisor.ending import Cause
    from mcp_queue.supervisor.executors import Death, Executor, Worker
    from mcp_queue.supervisor.loop import Loop, Timer
    from mcp_queue.system.watch import Watch


@dataclass(slots=True)
class Run:
    """A run whose worker may live, own or adopted."""

    run_id: str
    folder: RunFolder
    worker: Worker
    timeout: float | None
    memory_limit: int | None = None
    """Bytes that its processes may use together."""
    offset: int = 0
    """Bytes of its events that are in the registry."""
    started: bool = False
    """It said so: user code may have run."""
    cause: Cause | None = None
    """Why we end it; `stop` sets it."""
    outcome: dict[str, Any] | None = None
    death: Death | None = None
    """How its worker ended; it stays until the registry has taken it in."""
    settled: bool = False
    """Its job's row has ended; only the slot is still taken."""
    log_sizes: list[int] = field(default_factory=list[int])
    """Bytes in the files of both streams when they were last looked at."""
    timers: list[Timer] = field(default_factory=list["Timer"])


@dataclass(slots=True)
class State:
    """All of a supervisor's state."""

    registry: Registry
    folder: RegistryFolder
    loop: Loop
    bell: Bell
    executor: Executor
    settings: SharedSettings
    key_file: str
    """Of the key that jobs and runs are sealed with (`jobs.seals`)."""
    owner: str
    """Identity of the server whose in-memory registry this is; empty for a persistent one."""
    runs: dict[str, Run] = field(default_factory=dict[str, "Run"])
    servers: dict[str, tuple[Server, Watch | None]] = field(
        default_factory=dict[str, "tuple[Server, Watch | None]"]
    )
    claimed: list[Claim] = field(default_factory=list["Claim"])
    """Claims that are not started yet."""
    remains: set[str] = field(default_factory=set[str])
    """Runs whose folders could not be removed yet."""
    trouble: str = ""
    """Why nothing can be stored now, as it was said last."""
    rung_rev: int = 0
    """The last change that the servers were rung for."""
    leave_timer: Timer | None = None
    retain_timer: Timer | None = None
    retained_for: float | None = None
    """The retention that `retain_timer` was set for."""
    memory_timer: Timer | None = None
    rude: list[Run] = field(default_factory=list["Run"])
    """Runs whose workers do not stand back for others yet."""
    manners_timer: Timer | None = None
    log_timer: Timer | None = None
    log_interval: float = 0.0
    """Seconds between two looks at the logs of runs."""
    erase_timer: Timer | None = None
    erased_rev: int = -1
    """The last change of which nothing removed is left in the files."""
    retry_timer: Timer | None = None
    retry_due: float | None = None
    """When the timer looks, in monotonic seconds: a job that rests is due."""
    met_servers: bool = False
    """It has looked at the servers that were there before it."""
    hands_over: bool = False
    """A newer server came: leave, so that it can start a newer supervisor."""
    shutting_down: bool = False
    look: Callable[[], None] = lambda: None
    """Look at the registry and at every run; set by `main`."""
    _look_due: bool = False

    def look_soon(self) -> None:
        """Look after the callbacks of this round; several calls make one look."""
        self.look_in(0)

    def look_in(self, seconds: float) -> None:
        """Look after so many seconds, unless a look is due already."""
        if not self._look_due:
            self._look_due = True
            self.loop.later(seconds, self._look_now)

    def _look_now(self) -> None:
        self._look_due = False
        self.look()
