"""Folders of runs that no job needs any more."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from mcp_queue.jobs import run_rows

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State


def remove_if_deleted(state: State, run_id: str) -> None:
    """Remove the folder of a run that no job needs any more."""
    if not run_rows.is_needed(state.registry, run_id):
        remove(state, run_id)


def remove(state: State, run_id: str) -> None:
    """Remove the folder of a run; now, or at a later look if something is in the way."""
    path = state.folder.run(run_id).path
    shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(path):
        state.remains.add(run_id)


def remove_remains(state: State) -> None:
    """Try again what could not be removed: there was no descriptor to be had, say."""
    remains, state.remains = state.remains, set()
    for run_id in remains:
        remove(state, run_id)
