"""A Unix socket to serve HTTP on: whoever may open it is the user, so it asks for no token."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING

from mcp_queue.errors import ListenError

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "unix:"
_OTHER = "Give another path, in a folder of your own."


def listen_at(path: Path, backlog: int) -> socket.socket:
    """A listening socket that is its user's alone. Raises ListenError.

    A socket of this user's that nobody listens at is replaced.
    """
    if sys.platform == "win32":
        raise _error(path, "Windows has no Unix sockets here", "Give HOST:PORT instead.")
    _check_folder(path)
    _make_room(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        # A path that is too long has no number.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise _error(path, reason, _OTHER) from None
    finally:
        os.umask(before)
    return listener


def _check_folder(path: Path) -> None:
    """Where others may put files in place of ours, clients could be led to another server."""
    if sys.platform == "win32":
        return
    try:
        found = path.parent.stat()
    except OSError as error:
        raise _error(path, f"its folder: {os.strerror(error.errno or 0)}", _OTHER) from None
    theirs = found.st_uid not in (0, os.geteuid())
    shared = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    if theirs or shared:
        raise _error(path, "other users can replace what is in its folder", _OTHER)


def _make_room(path: Path) -> None:
    """Remove what a killed server left."""
    if sys.platform == "win32":
        return
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _error(path, os.strerror(error.errno or 0), _OTHER) from None
    if not stat.S_ISSOCK(found.st_mode):
        raise _error(path, "something is there that is no socket", _OTHER)
    if found.st_uid != os.geteuid():
        raise _error(path, "a socket of another user is there", _OTHER)
    if _is_served(path):
        raise _error(path, "another program listens there", "Give another path.")
    path.unlink(missing_ok=True)


def _is_served(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True


def _error(path: Path, reason: str, advice: str) -> ListenError:
    return ListenError(address=f"{PREFIX}{path}", reason=reason, advice=advice)
