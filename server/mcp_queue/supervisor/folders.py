"""Make the folders of runs, and remove those that no job needs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from mcp_queue.jobs import run_rows
from mcp_queue.jobs.registry_file import file_identity

if TYPE_CHECKING:
    from mcp_queue.supervisor.state import State


class RunFolders:
    """The folders of a registry's runs. Removals that failed are tried again."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._unremoved: set[str] = set()

    def make(self, run_id: str) -> tuple[int, int] | None:
        """Make the folder of a run; it replaces one of a start that could not be stored.

        Returns the identity of the folder. Raises `OSError`.
        """
        path = self._state.folder.run(run_id).path
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        self._unremoved.discard(run_id)
        return file_identity(path, follow=False)

    def remove(self, run_id: str) -> None:
        """Remove the folder of a run, now, or at a later check if that fails."""
        path = self._state.folder.run(run_id).path
        shutil.rmtree(path, ignore_errors=True)
        if os.path.exists(path):
            self._unremoved.add(run_id)

    def remove_if_deleted(self, run_id: str) -> None:
        """Remove the folder of a run that no job needs any more."""
        if not run_rows.is_needed(self._state.registry, run_id):
            self.remove(run_id)

    def retry_removals(self) -> None:
        """Try failed removals again (there was no free descriptor, for example)."""
        unremoved, self._unremoved = self._unremoved, set()
        for run_id in unremoved:
            self.remove(run_id)

    def remove_unknown(self) -> None:
        """Remove folders of no run of the registry, as a crash may leave them."""
        known = run_rows.known_run_ids(self._state.registry)
        runs = self._state.folder.runs
        for name in os.listdir(runs):
            if name not in known:
                shutil.rmtree(os.path.join(runs, name), ignore_errors=True)
