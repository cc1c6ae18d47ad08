"""Bells: wake another process without data. What changed is read from the registry.

A bell is a fifo that its owner reads; a full one means already rung, one without a reader is
stale. Where there are no fifos it is a datagram to a port on loopback, the port standing in
the bell's file. A lost or forged ring costs at most one look.
"""

from __future__ import annotations

import errno
import os
import stat
import sys


class Bell:
    """The owner's end: wait until ``fileno()`` is readable, then ``hush`` and look.

    Making it takes over a bell of that name that a dead owner left.
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
            # A writer of our own keeps the fifo from reading as ended between two rings.
            self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The descriptor that becomes readable when the bell is rung."""
        return self._socket.fileno() if sys.platform == "win32" else self._reader

    def hush(self) -> None:
        """Take all rings so far; look after that, so that no later ring is missed."""
        try:
            if sys.platform == "win32":
                while True:
                    self._socket.recv(64)
            else:
                while len(os.read(self._reader, 4096)) == 4096:
                    pass
        except BlockingIOError:
            pass

    def close(self, *, remove: bool = True) -> None:
        """Close the bell and, unless another may own it by now, remove its file."""
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


def _make_fifo(path: str) -> None:
    assert sys.platform != "win32"
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(os.lstat(path).st_mode):  # a copy of a registry may hold a file there
            os.unlink(path)
            os.mkfifo(path, 0o600)


def _open_fifo(path: str) -> int:
    """To write; whatever else has its name is never written to. Raises `OSError`."""
    assert sys.platform != "win32"
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "it is no bell", path)
    return descriptor


def is_heard(path: str) -> bool:
    """Whether somebody owns the bell at ``path``; it is not rung.

    Always where no fifos are, and when that cannot be told now, for want of descriptors say.
    """
    if sys.platform == "win32":
        return True
    try:
        os.close(_open_fifo(path))
    except OSError as error:
        return error.errno not in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return True


def ring(path: str) -> bool:
    """Ring the bell at ``path`` without ever blocking; False when nobody owns it."""
    try:
        if sys.platform == "win32":
            import socket

            with open(path, encoding="ascii") as file:
                port = int(file.read())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
                caller.sendto(b"!", ("127.0.0.1", port))
            return True
        descriptor = _open_fifo(path)
        try:
            os.write(descriptor, b"!")
        finally:
            os.close(descriptor)
    except BlockingIOError:
        return True
    except (OSError, ValueError):
        return False
    return True
