"""Bells: they wake another process, which then reads changes in the registry and in runs' folders.

A bell is a fifo that its owner reads. A full fifo means that it was already rung; a fifo without a
reader is stale. On systems without fifos, a ring is a datagram to a loopback port, and the bell's
file contains the port. A lost or forged ring costs at most one look.

A ring may name what changed, so that its owner need not look at everything. The name is a hint. A
ring without a name, as older versions ring, means that anything may have changed.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

REGISTRY = "registry"  # the name of what changed, where it is no run
LONGEST_NAME = 63  # bytes; an id of a run has 32
# A fifo holds this at least, and takes no further ring when it is nearly full: names may be lost.
SURE = 512 - LONGEST_NAME - 1


class Bell:
    """The owner's end: wait until ``fileno()`` is readable, call ``hush``, then read the registry.

    A bell with this path that a dead owner left is reused.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if sys.platform == "win32":
            import socket

            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind(("127.0.0.1", 0))
            self._socket.setblocking(False)
            with open(path, "w", encoding="ascii") as file:
                file.write(str(self._socket.getsockname()[1]))
        else:
            _make_fifo(path)
            self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            # With our own writer, the fifo does not read as ended between two rings.
            self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The descriptor that is readable when the bell was rung."""
        return self._socket.fileno() if sys.platform == "win32" else self._reader

    def hush(self) -> frozenset[str] | None:
        """Take all rings so far. Look only after that, so that no later ring is missed.

        Returns the names of what changed; None if a name is missing, which means that everything
        must be looked at. Any process that can ring can send any name.
        """
        data = b""
        try:
            if sys.platform == "win32":
                while True:
                    data = (data + self._socket.recv(64))[: SURE + 1]
            else:
                while True:
                    part = os.read(self._reader, 4096)
                    data = (data + part)[: SURE + 1]
                    if len(part) < 4096:
                        break
        except BlockingIOError:
            pass
        return names_in(data)

    def close(self, *, remove: bool = True) -> None:
        """Close the bell. ``remove``: also remove its file, unless another process may own it."""
        if sys.platform == "win32":
            self._socket.close()
        else:
            os.close(self._reader)
            os.close(self._writer)
        if remove:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass


def names_in(data: bytes) -> frozenset[str] | None:
    """The names of all rings that wrote ``data``; None when it cannot be told."""
    if not data:
        return frozenset()
    if len(data) > SURE or not data.endswith(b"\n") or not data.isascii():
        return None
    return frozenset(data[:-1].decode().split("\n"))


def _make_fifo(path: str) -> None:
    assert sys.platform != "win32"
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(os.lstat(path).st_mode):  # a copy of a registry may hold a file there
            os.unlink(path)
            os.mkfifo(path, 0o600)


def _open_fifo(path: str) -> int:
    """Open a fifo for writing. Raises `OSError`, also if the path is something else."""
    assert sys.platform != "win32"
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "it is no bell", path)
    return descriptor


def is_heard(path: str) -> bool:
    """Whether a process owns the bell at ``path``; this does not ring it.

    Also True on systems without fifos, and if it cannot be found out, for example because no
    descriptor is free.
    """
    if sys.platform == "win32":
        return True
    try:
        os.close(_open_fifo(path))
    except OSError as error:
        return error.errno not in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return True


def ring(path: str, name: str = "") -> bool:
    """Ring the bell at ``path``; never blocks. False if no process owns it.

    ``name``: what changed, an id of a run or `REGISTRY`; without it, anything may have changed.
    """
    data = f"{name}\n".encode() if 0 < len(name) <= LONGEST_NAME else b"!"
    try:
        if sys.platform == "win32":
            import socket

            with open(path, encoding="ascii") as file:
                port = int(file.read())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(data, ("127.0.0.1", port))
            return True
        descriptor = _open_fifo(path)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except BlockingIOError:
        return True
    except (OSError, ValueError):
        return False
    return True
