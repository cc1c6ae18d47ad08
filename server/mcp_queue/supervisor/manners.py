"""Let workers stand back for other programs, from before their gate opens.

An ordinary user may set the niceness of one group of processes in a tenth of a second only: in a
burst the others follow, one by one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import Run, State

PAUSE = 0.12  # seconds between two tries


def begin(state: State, run: Run) -> None:
    """Let a new run's worker stand back; later if it cannot be now."""
    state.rude.append(run)
    if state.manners_timer is None:
        _look(state)


def _look(state: State) -> None:
    state.manners_timer = None
    while state.rude:
        run = state.rude[0]
        if run.death is None and not run.worker.stand_back(state.settings.niceness):
            state.manners_timer = state.loop.later(PAUSE, partial(_look, state))
            return
        del state.rude[0]
