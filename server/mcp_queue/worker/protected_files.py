"""Files of the run that are opened before user code runs, so that it cannot block them.

The outcome can be stored even if the job has used up all descriptors, given up its user, changed
its root folder or lowered its limits.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS, RESULT = 250, 251  # their descriptors, which a job does not soon use itself
SPARE = range(28, 32)
"""Descriptors reserved for imports after user code; low, in case the job lowers the limit."""


class ProtectedFile:
    """An open file. If user code closed it, it is opened again by its path.

    ``place``: the descriptor that it gets, if that is free. ``descriptor``: its descriptor if it
    is open already.
    """

    def __init__(
        self, path: str, flags: int, place: int | None = None, descriptor: int | None = None
    ) -> None:
        self.path = path
        self._flags = flags
        new = self._open() if descriptor is None else descriptor
        self._descriptor = new if place is None else _moved(new, place)
        self._identity = _identity(self._descriptor)

    @property
    def descriptor(self) -> int:
        """Its descriptor; the file is opened again if the number belongs to another file."""
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


class ReservedDescriptors:
    """Descriptors that are reserved while user code runs."""

    def __init__(self) -> None:
        self._reserved = [ProtectedFile(os.devnull, os.O_RDONLY, place) for place in SPARE]

    def release(self) -> None:
        """Close them."""
        for each in self._reserved:
            each.close()
        self._reserved.clear()


def without_limits(write: Callable[[], None]) -> None:
    """Write; if a limit that the job set prevents it, raise the limits and write again."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.EMFILE) or not _lift_limits():
            raise
        write()


def _lift_limits() -> bool:
    """Raise the limits of file sizes and descriptors as far as allowed."""
    if sys.platform == "win32":
        return False
    try:
        import resource
    except ImportError:  # the module cannot be found any more
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
    """Move a file to another descriptor, unless that is taken or beyond the limit."""
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
