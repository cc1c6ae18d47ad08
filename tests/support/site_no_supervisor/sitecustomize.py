"""While the file that ``NO_SUPERVISOR`` names is there, no supervisor starts; it says how."""

from __future__ import annotations

import os
import sys
import time


def end(how: str) -> None:
    if how == "exits":
        os.write(2, b"ImportError: no such thing\n")
        os._exit(1)
    if how == "is killed":
        os.kill(os.getpid(), 9)
    while os.path.exists(os.environ["NO_SUPERVISOR"]):  # "hangs"
        time.sleep(0.05)


if any("mcp_queue.supervisor.main" in part for part in sys.orig_argv):
    try:
        with open(os.environ["NO_SUPERVISOR"], encoding="ascii") as file:
            end(file.read())
    except FileNotFoundError:
        pass
