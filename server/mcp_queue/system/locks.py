"""Locks of files and folders. One of them ensures that a registry has one supervisor.

The kernel releases a lock when its holder dies, so no stale locks remain. Children do not inherit
the descriptors of locks (PEP 446).
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

from mcp_queue.system.ours import NotOursError, open_ours

if TYPE_CHECKING:
    from collections.abc import Generator

_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # the last two on Windows


class FileLock:
    """An exclusive lock on a file. The file is made if it is missing, and never removed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; never waits.

        Raises `OSError` if the file system has no locks or the file is not ours.
        """
        descriptor = open_ours(self._path, os.O_RDWR | os.O_CREAT)
        try:
            if sys.platform == "win32":
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                return False
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_if_free(descriptor: int) -> bool:
    """Take the exclusive lock of an open file.

    The lock is held until all copies of the descriptor are closed, including those that children
    inherited. False if another process holds it, or if the system has no such locks (Windows, some
    file systems).
    """
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_held(path: str) -> bool:
    """Whether a living process, in any container, holds the lock of the file.

    This takes a shared lock and releases it, so several processes can check at the same time. A
    process that tries to take the lock in this moment has to try again. True if the file cannot be
    opened, for example because no descriptor is free: that does not prove that the holder is dead.
    """
    try:
        descriptor = open_ours(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError, NotOursError):
        return False
    except OSError:
        return True
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(descriptor)
    return False


def wait_until_free(path: str) -> None:
    """Block until no process holds the lock of the file. Raises `OSError`. Not for Windows."""
    assert sys.platform != "win32"
    descriptor = open_ours(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def folder_locked(path: str) -> Generator[None]:
    """Only one process at a time runs this block for an existing folder; others wait.

    There is no lock on Windows and on file systems that cannot lock folders.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
