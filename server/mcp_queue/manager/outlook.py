"""Whether supervisors can be started at all, for those who wait for one."""

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
    """A block that a failing start ends; ``problem`` says so."""

    problem: SupervisorError | None = None


class Outlook:
    """What the last start came to. One owner writes it; anybody of the same event loop waits."""

    def __init__(self) -> None:
        self.problem: SupervisorError | None = None
        """Why none could be started, until one is there."""
        self._decided = anyio.Event()
        self._decided.set()
        self._listeners: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """A start goes on; `verdict` waits for its end."""
        if self._decided.is_set():
            self._decided = anyio.Event()

    def decide(self) -> None:
        """There is no start any more to wait for."""
        self._decided.set()

    def serves(self) -> None:
        """A supervisor is there."""
        self.problem = None
        self.decide()

    def fail(self, problem: SupervisorError) -> None:
        """None could be started."""
        if self.problem is None or self.problem.message != problem.message:
            log.warning("%s %s", problem.message, problem.hint)
        self.problem = problem
        self.decide()
        for look in list(self._listeners):
            look()

    async def verdict(self, seconds: float) -> SupervisorError | None:
        """The problem, if any, once the start that goes on has ended, or after ``seconds``."""
        if not self._decided.is_set():
            with anyio.move_on_after(seconds):
                await self._decided.wait()
        return self.problem

    @contextmanager
    def while_supervised(self, needed: Callable[[], bool]) -> Generator[SupervisedWait]:
        """Leave the block as soon as no supervisor can be started while one is ``needed``."""
        wait = SupervisedWait()

        def look() -> None:
            if self.problem is not None and needed():
                wait.problem = self.problem
                scope.cancel()

        with anyio.CancelScope() as scope:
            self._listeners.add(look)
            try:
                look()
                yield wait
            finally:
                self._listeners.discard(look)
