"""When the next check of the registry is due, and of which runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.supervisor.loop import Loop


class Checks:
    """Schedules checks. While a check is due, further calls do not move it.

    So an error that delays the next check delays it for rings as well.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._due = False
        self._of_all_runs = False
        self.check: Callable[[], None] = lambda: None
        """Check the registry, and all runs if `take_all_runs` is true. The supervisor sets it."""

    def soon(self) -> None:
        """Check the registry after the callbacks of this round, unless a check is due later."""
        self._within(0)

    def of_all_runs(self, seconds: float = 0) -> None:
        """Include every run in the next check: the one that is due, or a new one in ``seconds``."""
        self._of_all_runs = True
        self._within(seconds)

    def take_all_runs(self) -> bool:
        """Whether the check that begins includes every run. Resets that for the next check."""
        all_runs, self._of_all_runs = self._of_all_runs, False
        return all_runs

    def _within(self, seconds: float) -> None:
        if not self._due:
            self._due = True
            self._loop.later(seconds, self._now)

    def _now(self) -> None:
        self._due = False
        self.check()
