"""Folders of runs: made for a run, removed when no job needs them any more."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from mcp_queue.jobs import run_rows
from mcp_queue.jobs.registry_file import file_identity

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State


class RunFolders:
    """The folders of a registry's runs; those that could not be removed are tried again."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._remains: set[str] = set()

    def make(self, run_id: str) -> tuple[int, int] | None:
        """Make the folder of a run, in place of one of a start that could not be stored.

        The answer tells which folder it is. Raises `OSError`.
        """
        path = self._state.folder.run(run_id).path
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        self._remains.discard(run_id)
        return file_identity(path, follow=False)

    def remove(self, run_id: str) -> None:
        """Remove the folder of a run; now, or at a later look if something is in the way."""
        path = self._state.folder.run(run_id).path
        shutil.rmtree(path, ignore_errors=True)
        if os.path.exists(path):
            self._remains.add(run_id)

    def remove_if_deleted(self, run_id: str) -> None:
        """Remove the folder of a run that no job needs any more."""
        if not run_rows.is_needed(self._state.registry, run_id):
            self.remove(run_id)

    def remove_remains(self) -> None:
        """Try again what could not be removed: there was no descriptor to be had, say."""
        remains, self._remains = self._remains, set()
        for run_id in remains:
            self.remove(run_id)

    def remove_strange(self) -> None:
        """Remove what no run of the registry has made, as after a crash."""
        known = run_rows.known_run_ids(self._state.registry)
        runs = self._state.folder.runs
        for name in os.listdir(runs):
            if name not in known:
                shutil.rmtree(os.path.join(runs, name), ignore_errors=True)
