"""Whether the run was asked to stop."""

from __future__ import annotations

import os

from mcp_queue.jobs import events


class StopRequest:
    """A stop request, from the signal or from the control file.

    The file serves jobs that replaced the signal handler, and children, which get no signal.
    """

    def __init__(self, control: str) -> None:
        self._control = control
        self._size = 0  # bytes of the file that were read
        self.made = False

    def check(self) -> bool:
        """Whether a stop was requested. Reads the control file if it has grown."""
        if not self.made:
            try:
                size = os.stat(self._control).st_size
            except OSError:  # nothing was written yet, or the job has another root folder
                return False
            if size != self._size:
                lines, _ = events.read(self._control, 0)
                self._size = size
                self.made = any(line.get("e") == events.STOP for line in lines)
        return self.made
