"""Whether supervisors can be started, for calls that wait for one."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from mcp_queue.errors import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

log = logging.getLogger(__name__)


class SupervisedWait:
    """A block that ends when a start fails; then ``problem`` is set."""

    problem: SupervisorError | None = None


class Availability:
    """The result of the last start. `Supervision` sets it for tasks of its event loop."""

    def __init__(self) -> None:
        self.problem: SupervisorError | None = None
        """Why no supervisor could be started; None once there is one."""
        self._decided = anyio.Event()
        self._decided.set()
        self._checks: set[Callable[[], None]] = set()

    def start_began(self) -> None:
        """A start is going on; `problem_after_start` waits for its end."""
        if self._decided.is_set():
            self._decided = anyio.Event()

    def start_decided(self) -> None:
        """No start is going on."""
        self._decided.set()

    def supervisor_found(self) -> None:
        """A supervisor is there."""
        self.problem = None
        self.start_decided()

    def start_failed(self, problem: SupervisorError) -> None:
        """No supervisor could be started."""
        if self.problem is None or self.problem.message != problem.message:
            log.warning("%s %s", problem.message, problem.hint)
        self.problem = problem
        self.start_decided()
        for check in list(self._checks):
            check()

    async def problem_after_start(self, seconds: float) -> SupervisorError | None:
        """The problem, if any, after the current start has ended, or after ``seconds``."""
        if not self._decided.is_set():
            with anyio.move_on_after(seconds):
                await self._decided.wait()
        return self.problem

    @contextmanager
    def while_supervised(self, needed: Callable[[], bool]) -> Generator[SupervisedWait]:
        """Leave the block when no supervisor can be started while one is ``needed``."""
        wait = SupervisedWait()

        def check() -> None:
            if self.problem is not None and needed():
                wait.problem = self.problem
                scope.cancel()

        with anyio.CancelScope() as scope:
            self._checks.add(check)
            try:
                check()
                yield wait
            finally:
                self._checks.discard(check)
