"""The state that all parts of the supervisor share: registry, runs, settings in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.jobs.shared_settings import SharedSettings
    from mcp_queue.supervisor.causes import Cause
    from mcp_queue.supervisor.checks import Checks
    from mcp_queue.supervisor.executors import Death, Executor, Worker
    from mcp_queue.supervisor.loop import Loop, Timer


@dataclass(slots=True)
class Run:
    """A run whose worker may live. This supervisor started or adopted it."""

    run_id: str
    folder: RunFolder
    worker: Worker
    timeout: float | None
    memory_limit: int | None = None
    """Bytes that its processes may use together."""
    offset: int = 0
    """Bytes of its events that are in the registry."""
    started: bool = False
    """Its `started` event was read: user code may have run."""
    cause: Cause | None = None
    """Why the supervisor ends it; `stop` sets it."""
    outcome: dict[str, Any] | None = None
    death: Death | None = None
    """How its worker ended. The run stays here until the registry has stored that."""
    settled: bool = False
    """The end of its job is stored; the run only takes a slot."""
    timers: list[Timer] = field(default_factory=list["Timer"])
    """They end the run when its timeout or grace is over. Its death cancels them."""


@dataclass(slots=True)
class State:
    """The state that all parts share. A part has its own fields for its own state."""

    registry: Registry
    folder: RegistryFolder
    loop: Loop
    checks: Checks
    executor: Executor
    settings: SharedSettings
    """The settings in force at the last check."""
    key_file: str
    """The file of the key that seals jobs and runs (`jobs.seals`)."""
    owner: str
    """Identity of the server whose in-memory registry this is; empty for a persistent one."""
    runs: dict[str, Run] = field(default_factory=dict[str, "Run"])
    """By the id of the run. Each takes a slot."""
    shutting_down: bool = False
    """The owner leaves: runs are being ended, and none is started."""
