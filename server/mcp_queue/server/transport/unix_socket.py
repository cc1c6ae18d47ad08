"""A Unix socket for HTTP. Only the user can open it, so it needs no token."""

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
    """A listening socket that only the user can open. Raises ListenError.

    A socket of this user without a listener is replaced.
    """
    if sys.platform == "win32":
        raise _error(path, "Windows has no Unix sockets here", "Give HOST:PORT instead.")
    _check_folder(path)
    _remove_stale(path)
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
    """Refuse a folder in which other users could replace the socket by one of their server."""
    if sys.platform == "win32":
        return
    try:
        status = path.parent.stat()
    except OSError as error:
        raise _error(path, f"its folder: {os.strerror(error.errno or 0)}", _OTHER) from None
    theirs = status.st_uid not in (0, os.geteuid())
    shared = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if theirs or shared:
        raise _error(path, "other users can replace what is in its folder", _OTHER)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a killed server."""
    if sys.platform == "win32":
        return
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _error(path, os.strerror(error.errno or 0), _OTHER) from None
    if not stat.S_ISSOCK(status.st_mode):
        raise _error(path, "something is there that is no socket", _OTHER)
    if status.st_uid != os.geteuid():
        raise _error(path, "a socket of another user is there", _OTHER)
    if _is_served(path):
        raise _error(path, "another program listens there", "Give another path.")
    path.unlink(missing_ok=True)


def _is_served(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True


def _error(path: Path, reason: str, advice: str) -> ListenError:
    return ListenError(address=f"{PREFIX}{path}", reason=reason, advice=advice)
