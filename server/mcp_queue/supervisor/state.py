"""What all parts of the supervisor share: its registry, its runs, the settings in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.jobs.shared_settings import SharedSettings
    from mcp_queue.supervisor.ending import Cause
    from mcp_queue.supervisor.executors import Death, Executor, Worker
    from mcp_queue.supervisor.looks import Looks
    from mcp_queue.supervisor.loop import Loop, Timer


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
    timers: list[Timer] = field(default_factory=list["Timer"])
    """They end it when its time, or its grace, is over; its death cancels them."""


@dataclass(slots=True)
class State:
    """What all parts of a supervisor share; what one part alone needs, it has itself."""

    registry: Registry
    folder: RegistryFolder
    loop: Loop
    looks: Looks
    executor: Executor
    settings: SharedSettings
    """Those in force at the last look."""
    key_file: str
    """Of the key that jobs and runs are sealed with (`jobs.seals`)."""
    owner: str
    """Identity of the server whose in-memory registry this is; empty for a persistent one."""
    runs: dict[str, Run] = field(default_factory=dict[str, "Run"])
    """Each takes a slot; by the id of the run."""
    shutting_down: bool = False
    """The owner leaves: runs are ended, nothing starts."""
