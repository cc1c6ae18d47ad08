"""Free the disk space of the middle of a file, while another process appends to the file."""

from __future__ import annotations

import errno
import os
import sys

_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02
_CANNOT = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def punch(descriptor: int, start: int, length: int) -> bool:
    """Make a hole in a file that is open for writing; its size and all offsets stay.

    False if the system or the file system does not support holes. Raises `OSError` otherwise.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", libc.fallocate)
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, length):
        number = ctypes.get_errno()
        if number in _CANNOT:
            return False
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return True
