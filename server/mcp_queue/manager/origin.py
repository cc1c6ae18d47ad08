"""The origin of a job: its submitter's interpreter, folder, search path and environment.

Two servers of one registry may use different virtual environments; a job runs in its submitter's.
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
"""The variable with the token of a server over HTTP. No other process gets it."""

_remembered: list[str] = []


def package_folders() -> list[str]:
    """The folders of ``mcp_queue`` and of the other packages that a supervisor needs."""
    return [package_folder(), os.path.dirname(os.path.dirname(os.path.abspath(apsw.__file__)))]


def package_folder() -> str:
    """The folder that ``mcp_queue`` is imported from."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def environment() -> dict[str, str]:
    """This process's environment for a process that is no part of its run."""
    return {name: value for name, value in os.environ.items() if name not in (MARK, HTTP_TOKEN)}


def python() -> list[str]:
    """This interpreter as a command, with the flags that it was started with."""
    return [sys.executable or "python", *flags()]


def flags() -> list[str]:
    """The flags of this interpreter that change how Python starts or what code does."""
    # The standard library starts its children with these (multiprocessing, test.support).
    of_interpreter: Any = subprocess
    return of_interpreter._args_from_interpreter_flags()


def remember_working_folder() -> None:
    """Let jobs run in the current folder, even if modules loaded later change it."""
    _remembered[:] = [_here()]


def working_folder() -> str:
    """The folder for jobs of this process: remembered or current; empty if it is gone."""
    return _remembered[0] if _remembered else _here()


def origin(folder: str) -> str:
    """The JSON text that is stored with each job until it has ended.

    ``folder``: the working folder of its run, and the base of relative entries of the path.
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
