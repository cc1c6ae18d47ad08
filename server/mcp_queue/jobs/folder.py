"""Paths in the folder beside a registry file.

``docs/architecture.md`` says which process writes which file. A run's folder has the run's random
id as its name, never a text from a caller.
"""

from __future__ import annotations

import os

from mcp_queue.jobs import trust
from mcp_queue.jobs.run_folder import RunFolder
from mcp_queue.system import ours


class RegistryFolder:
    """``<registry_path>.d/``, owner-only: runs, bells and the supervisor's lock."""

    def __init__(self, registry_path: str) -> None:
        self._registry_path = registry_path
        self.path = registry_path + ".d"
        self.runs = os.path.join(self.path, "runs")
        self.bells = os.path.join(self.path, "bells")
        self.lock = os.path.join(self.path, "supervisor.lock")
        self.bell = os.path.join(self.bells, "supervisor")
        self.log = os.path.join(self.path, "supervisor.log")
        self.damaged = os.path.join(self.path, "damaged")

    def make(self) -> None:
        """Make the missing folders, so that only the owner can use them.

        Raises `RegistryUntrustedError` if another user owns or may change one, or if it is a link.
        """
        for path in (self.path, self.runs, self.bells):
            if not os.path.lexists(path):
                ours.make_folder(path)
            trust.check_folder(self._registry_path, path)

    def run(self, run_id: str) -> RunFolder:
        """The folder of the run ``run_id``, which need not exist."""
        return RunFolder(os.path.join(self.runs, self._checked(run_id)))

    def server_bell(self, server_id: str) -> str:
        """The bell of one server."""
        return os.path.join(self.bells, self._checked(server_id))

    def _checked(self, name: str) -> str:
        trust.check_name(self._registry_path, name)
        return name
