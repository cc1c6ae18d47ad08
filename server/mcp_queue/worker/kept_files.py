"""Files of the run that user code cannot take away: they are opened before it runs.

So a job's outcome is kept though the job has used up all descriptors, given up its rights, changed
its root folder or lowered its limits.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS, RESULT = 250, 251  # their descriptors, where a job's own do not come at first
SPARE = range(28, 32)  # descriptors kept free for what is imported after user code; low, so that
# they are of use though the job lowered the limit


class KeptFile:
    """An open file. If user code closed it, it is opened again by its name.

    ``place``: the descriptor that it gets, if that is free. ``descriptor``: where it is open now.
    """

    def __init__(
        self, path: str, flags: int, place: int | None = None, descriptor: int | None = None
    ) -> None:
        self.path = path
        self._flags = flags
        opened = self._open() if descriptor is None else descriptor
        self._descriptor = opened if place is None else _moved(opened, place)
        self._identity = _identity(self._descriptor)

    @property
    def descriptor(self) -> int:
        """Its descriptor, which under the same number may be another file's by now."""
        try:
            if _identity(self._descriptor) == self._identity:
                return self._descriptor
        except OSError:
            pass
        self._descriptor = self._open()
        self._identity = _identity(self._descriptor)
        return self._descriptor

    def close(self) -> None:
        """Close it, if it is still open."""
        try:
            if _identity(self._descriptor) == self._identity:
                os.close(self._descriptor)
        except OSError:
            pass

    def _open(self) -> int:
        return os.open(self.path, self._flags, 0o600)


class Room:
    """Descriptors that are held for nothing, to be given back when user code has ended."""

    def __init__(self) -> None:
        self._held = [KeptFile(os.devnull, os.O_RDONLY, place) for place in SPARE]

    def make(self) -> None:
        """Give them back."""
        for each in self._held:
            each.close()
        self._held.clear()


def despite_limits(write: Callable[[], None]) -> None:
    """Write, once more without the limits that the job has set itself, as far as that may be."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.EMFILE) or not _lift_limits():
            raise
        write()


def _lift_limits() -> bool:
    """Raise the limits of file sizes and of descriptors again, as far as that may be."""
    if sys.platform == "win32":
        return False
    try:
        import resource
    except ImportError:  # no way to the module's file any more
        return False
    for which in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        _, most = resource.getrlimit(which)
        for limit in (resource.RLIM_INFINITY, most):
            try:
                resource.setrlimit(which, (limit, limit))
                break
            except (OSError, ValueError):
                continue
    return True


def _moved(descriptor: int, place: int) -> int:
    """The same file at another descriptor; where it was, if that is taken or beyond the limit."""
    os.set_inheritable(descriptor, False)
    try:
        os.fstat(place)
    except OSError:
        try:
            os.dup2(descriptor, place, inheritable=False)
        except OSError:
            return descriptor
        os.close(descriptor)
        return place
    return descriptor


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
