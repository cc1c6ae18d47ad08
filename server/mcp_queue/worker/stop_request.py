"""Whether somebody asked the run to stop."""

from __future__ import annotations

import os

from mcp_queue.jobs import events


class StopRequest:
    """Learnt from the signal, or from the control file, for who took the signal's handler away
    and for children, which get no signal."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._size = 0  # bytes of it that were looked at
        self.made = False

    def look(self) -> bool:
        """Whether it was made by now."""
        if not self.made:
            try:
                size = os.stat(self._control).st_size
            except OSError:  # nothing was told yet, or the job sees other files
                return False
            if size != self._size:
                lines, _ = events.read(self._control, 0)
                self._size = size
                self.made = any(line.get("e") == events.STOP for line in lines)
        return self.made
