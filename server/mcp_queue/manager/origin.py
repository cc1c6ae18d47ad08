"""Where a run comes from: the interpreter, folder, search path and environment of its submitter.

Two servers on one registry may live in different virtual environments; each job runs in its own.
"""

from __future__ import annotations

import json
import os
import sys

import mcp_queue
from mcp_queue.system.marks import MARK


def package_folder() -> str:
    """The folder that ``mcp_queue`` is imported from."""
    return os.path.dirname(os.path.dirname(os.path.abspath(mcp_queue.__file__)))


def environment() -> dict[str, str]:
    """This process's environment for another that is no part of this one's run."""
    return {name: value for name, value in os.environ.items() if name != MARK}


def origin() -> str:
    """The JSON text that goes with each job; owner-only, and removed when the job has ended."""
    cwd = os.getcwd()
    return json.dumps(
        {
            "interpreter": sys.executable,
            "package": package_folder(),
            "sys_path": [os.path.join(cwd, entry) for entry in sys.path],
            "cwd": cwd,
            "env": environment(),
        }
    )
