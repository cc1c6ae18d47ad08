"""When to look next, and at which runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.supervisor.loop import Loop


class Looks:
    """Looks that are due; several calls before a look make one."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._due = False
        self._at_all_runs = False
        self.look: Callable[[], None] = lambda: None
        """Look at the registry, and at all runs if `takes_all` says so; its owner sets it."""

    def soon(self) -> None:
        """Look at the registry after the callbacks of this round."""
        self._within(0)

    def at_all_runs(self, seconds: float = 0) -> None:
        """The next look is at every run too; it comes after ``seconds``, if none is due before."""
        self._at_all_runs = True
        self._within(seconds)

    def takes_all(self) -> bool:
        """Whether the look that begins now is at every run; one answer serves one look."""
        at_all_runs, self._at_all_runs = self._at_all_runs, False
        return at_all_runs

    def _within(self, seconds: float) -> None:
        if not self._due:
            self._due = True
            self._loop.later(seconds, self._now)

    def _now(self) -> None:
        self._due = False
        self.look()
