"""Where a run comes from: the interpreter, folder, search path and environment of its submitter.

Two servers on one registry may live in different virtual environments; each job runs in its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import apsw

from mcp_queue.system.marks import MARK

HTTP_TOKEN = "MCP_QUEUE_HTTP_TOKEN"
"""The variable with the token of a server over HTTP, which no other process is handed."""

_kept: list[str] = []


def package_folders() -> list[str]:
    """The folders that ``mcp_queue`` and the packages that a supervisor needs come from."""
    return [package_folder(), os.path.dirname(os.path.dirname(os.path.abspath(apsw.__file__)))]


def package_folder() -> str:
    """The folder that ``mcp_queue`` is imported from."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def environment() -> dict[str, str]:
    """This process's environment for another that is no part of this one's run."""
    return {name: value for name, value in os.environ.items() if name not in (MARK, HTTP_TOKEN)}


def python() -> list[str]:
    """This interpreter as a command, with the flags that it was started with."""
    return [sys.executable or "python", *flags()]


def flags() -> list[str]:
    """The flags of this interpreter that change how Python starts or what code does."""
    # What the standard library starts its own children with (multiprocessing, test.support).
    of_interpreter: Any = subprocess
    return of_interpreter._args_from_interpreter_flags()


def keep_folder() -> None:
    """Let jobs run where this process is now, wherever modules that are loaded later go."""
    _kept[:] = [_here()]


def working_folder() -> str:
    """Where jobs of this process run: the folder kept, else the one it is in; empty if gone."""
    return _kept[0] if _kept else _here()


def origin(folder: str) -> str:
    """The JSON text that goes with each job; owner-only, and removed when the job has ended.

    ``folder``: the working folder of its run, and where relative entries of the path begin.
    """
    return json.dumps(
        {
            "interpreter": python()[0],
            "flags": flags(),
            "package": package_folder(),
            "sys_path": [os.path.join(folder, entry) for entry in sys.path],
            "cwd": folder,
            "env": environment(),
        }
    )


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
