"""Locks of files and folders, such as the one that makes a supervisor its registry's only one.

The kernel releases them at the holder's death, so there is nothing stale to clean. A descriptor
of theirs never crosses a spawn (descriptors are not inherited, PEP 446).
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
    """An exclusive lock on a file that is made when missing and never removed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; never waits.

        Raises `OSError` where there are none, or where it is not ours.
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
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_if_free(descriptor: int) -> bool:
    """Take the exclusive lock of an open file; it is held until the last copy is closed.

    A copy is one that a child has inherited, so the lock lives as long as who was given it.
    False when another holds it, and where files cannot be locked so (Windows, some file systems).
    """
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_held(path: str) -> bool:
    """Whether a living process, in whatever container, holds the lock of the file.

    It asks the kernel for a shared lock and gives it back, so that those who ask at the same
    time do not hinder each other; who takes the lock just then has to try again. True when
    the file cannot be opened now, for want of descriptors say: nobody is dead on that account.
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
    """Block until nobody holds the lock of the file. Raises `OSError`; not for Windows."""
    assert sys.platform != "win32"
    descriptor = open_ours(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def folder_locked(path: str) -> Generator[None]:
    """One process at a time in this block, for a folder that exists; the others wait.

    Not on Windows, nor on a file system that locks no folders.
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
