"""Start processes: a run's worker behind its gate, and the supervisor out of everyone's tree."""

from __future__ import annotations

import os
import subprocess
import sys

from mcp_queue.system import locks

# Windows has no sessions: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP stands in for one.
_FLAGS = 0x00000008 | 0x00000200 if sys.platform == "win32" else 0


def spawn_gated(
    argv: list[str], *, cwd: str, env: dict[str, str], stdout: str, stderr: str, held: str
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that waits for a byte on its standard input.

    Descriptors 1 and 2 are the two files, opened for append: no process stands in between.
    ``held`` is a third file, open for append and locked from the process's birth to its death
    (`locks.is_held`); its descriptor is the last argument, except on Windows.
    Close ``stdin`` of the answer unwritten and the process leaves. Raises `OSError` when it
    cannot be started. Call it from the main thread (see `tree.die_with_parent`).
    """
    opened: list[int] = []
    try:
        opened.extend(_for_append(path) for path in (stdout, stderr, held))
        out, err, locked = opened
        passed: tuple[int, ...] = ()
        if sys.platform != "win32":
            locks.hold(locked)
            argv, passed = [*argv, str(locked)], (locked,)
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=cwd, env=env,
            bufsize=0, start_new_session=True, creationflags=_FLAGS, pass_fds=passed,
        )  # fmt: skip
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _for_append(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def spawn_detached(argv: list[str], *, env: dict[str, str], log: str) -> subprocess.Popen[bytes]:
    """Start a process that leaves this one's tree by itself (`detach`), its output to ``log``."""
    out = _for_append(log)
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=os.path.abspath(os.sep),
            env=env, start_new_session=True, creationflags=_FLAGS,
        )  # fmt: skip
    finally:
        os.close(out)


def detach() -> None:
    """Give this process to another parent: fork, and leave from the first of the two.

    Call it first thing in a fresh process, before any thread. Windows has no process tree that
    outlives a parent, so nothing is to be done there.
    """
    if sys.platform != "win32" and os.fork():
        os._exit(0)
