"""Start processes: a worker that waits at its gate, and a supervisor without a parent."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_queue.system.locks import lock_if_free
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from collections.abc import Generator

# Windows has no sessions: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP stands in for one.
_FLAGS = 0x00000008 | 0x00000200 if sys.platform == "win32" else 0


def spawn_gated(
    argv: list[str], *, cwd: str, env: dict[str, str], stdout: str, stderr: str, held: str
) -> subprocess.Popen[bytes]:
    """Start a process, in its own session, that waits for a byte on its standard input (the gate).

    Its descriptors 1 and 2 are the two files, opened for append, without a process in between.
    ``held``: a third file, opened for append; the process holds its lock until it dies
    (`locks.is_held`). The descriptor of that file is the last argument, except on Windows, and the
    process must not pass it on. If ``stdin`` of the returned process is closed without a byte, the
    process exits. Raises `OSError` if it cannot be started. Call this from the main thread (see
    `tree.die_with_parent`).
    """
    with _appending(stdout) as out, _appending(stderr) as err, _appending(held) as lock:
        lock_if_free(lock)
        passed = () if sys.platform == "win32" else (lock,)
        return subprocess.Popen(
            [*argv, *map(str, passed)], stdin=subprocess.PIPE, stdout=out, stderr=err,
            cwd=cwd, env=env, bufsize=0, start_new_session=True, creationflags=_FLAGS,
            pass_fds=passed,
        )  # fmt: skip


def without_relative_paths(env: dict[str, str]) -> dict[str, str]:
    """``env`` without the entries of ``PYTHONPATH`` that depend on the working folder.

    Empty and relative entries mean the working folder or a folder in it.
    """
    if "PYTHONPATH" not in env:
        return env
    entries = [each for each in env["PYTHONPATH"].split(os.pathsep) if os.path.isabs(each)]
    return {**env, "PYTHONPATH": os.pathsep.join(entries)}


def spawn_detached(argv: list[str], *, env: dict[str, str], log: str) -> subprocess.Popen[bytes]:
    """Start a process that detaches itself from this one (`detach`); its errors go to ``log``.

    Its standard output is the pipe ``stdout`` of the returned process. Raises `OSError`.
    """
    with _appending(log) as out:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out,
            cwd=os.path.abspath(os.sep), env=env, start_new_session=True, creationflags=_FLAGS,
        )  # fmt: skip


@contextmanager
def _appending(path: str) -> Generator[int]:
    """A descriptor of a file that only its owner can use; the file is made if it is missing."""
    descriptor = open_ours(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def detach() -> None:
    """Detach this process from its parent: fork, and exit in the parent of the two.

    Call this first in a new process, before it has threads. On Windows a process does not depend on
    its parent, so nothing is done there.
    """
    if sys.platform != "win32" and os.fork():
        os._exit(0)
