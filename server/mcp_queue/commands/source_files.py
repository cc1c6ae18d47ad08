"""Opening of files that authors give by path: regular files only, and without blocking."""

from __future__ import annotations

import os
import stat

from mcp_queue.errors import InvalidContentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a folder: keep its files one by one, or an archive of it"),
    (stat.S_ISFIFO, "a pipe: read it, and give what was read"),
    (stat.S_ISSOCK, "a socket: read it, and give what was read"),
    (stat.S_ISCHR, "a device: give a file, or bytes"),
    (stat.S_ISBLK, "a device: give a file, or bytes"),
)


def open_file(name: str, path: str) -> BinaryIO:
    """Open the file for reading. ``name``: the name of the new artifact, for the error.

    Raises InvalidContentError if it is no regular file, and `OSError`. The kind of file is checked
    before it is opened, since the opening may block (a pipe) or have effects (a device), and again
    after it.
    """
    try:
        _check(name, path, os.stat(path).st_mode)
    except ValueError as error:  # the path has a NUL
        raise InvalidContentError(name=repr(name), reason=f"{path!r:.200}: {error}") from None
    # O_NONBLOCK: a pipe may have replaced the file.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check(name, path, os.fstat(descriptor).st_mode)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check(name: str, path: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "no file")
    raise InvalidContentError(name=repr(name), reason=f"{path} is {kind}")
