"""Start processes: a run's worker behind its gate, and the supervisor out of everyone's tree."""

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
    """Start a process in a session of its own that waits for a byte on its standard input.

    Descriptors 1 and 2 are the two files, opened for append: no process stands in between.
    ``held``: a third file, open for append, whose lock the process holds from its birth to its
    death (`locks.is_held`). Its descriptor is the last argument, except on Windows, and the
    process must not pass it on. Close ``stdin`` of the answer unwritten and the process leaves.
    Raises `OSError` when it cannot be started. Call it from the main thread (see
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


def spawn_detached(argv: list[str], *, env: dict[str, str], log: str) -> subprocess.Popen[bytes]:
    """Start a process that leaves this one's tree by itself (`detach`), its errors to ``log``.

    Its standard output is the pipe ``stdout`` of the answer. Raises `OSError`.
    """
    with _appending(log) as out:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out,
            cwd=os.path.abspath(os.sep), env=env, start_new_session=True, creationflags=_FLAGS,
        )  # fmt: skip


@contextmanager
def _appending(path: str) -> Generator[int]:
    """A descriptor of a file of the owner's alone, made when missing."""
    descriptor = open_ours(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def detach() -> None:
    """Give this process to another parent: fork, and leave from the first of the two.

    Call it first thing in a fresh process, before any thread. Windows has no process tree that
    outlives a parent, so nothing is to be done there.
    """
    if sys.platform != "win32" and os.fork():
        os._exit(0)
