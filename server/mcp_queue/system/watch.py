"""Watch the death of any process, child or not, with a descriptor that becomes readable.

On Linux it is a pidfd. Elsewhere a thread waits (kqueue or a process handle, through psutil) and
then closes its end of a socket pair. A zombie counts as dead. A process of another pid namespace is
watched through a lock that it holds.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mcp_queue.system.identity import ALIVE, DEAD, UNKNOWN, is_here, pid_of, state_of
from mcp_queue.system.locks import wait_until_free

if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    """A watch over one process. ``fileno()`` is readable when the process is dead."""

    def __init__(self, identity: str, descriptor: int, owner: socket.socket | None) -> None:
        """``owner``: the socket that owns the descriptor; None for a pidfd."""
        self.identity = identity
        self._descriptor = descriptor
        self._socket = owner
        self._is_pidfd = owner is None

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._descriptor

    def send(self, number: int) -> bool:
        """Send a signal to this process, never to another one with its pid; False if it is dead."""
        try:
            if sys.platform == "linux" and self._is_pidfd:
                signal.pidfd_send_signal(self._descriptor, number)
            elif state_of(self.identity) == ALIVE:
                os.kill(pid_of(self.identity), number)
            else:
                return False
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def close(self) -> None:
        """Stop watching."""
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._descriptor)


def watch(identity: str) -> Watch | None:
    """Watch a process; the watch of a dead process is readable at once.

    None for a process of another pid namespace, whose death cannot be seen from here.
    """
    state = state_of(identity)
    if state == UNKNOWN:
        return None
    if state == DEAD:
        return _dead(identity)
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid_of(identity))
        except ProcessLookupError:
            return _dead(identity)
        if state_of(identity) == DEAD:  # the pidfd may be that of a new process with this pid
            os.close(descriptor)
            return _dead(identity)
        return Watch(identity, descriptor, None)
    return _by_thread(identity)


def watch_holder(identity: str, held: str) -> Watch:
    """`watch`, also for other namespaces: dead when the lock of the file ``held`` is free."""
    if is_here(identity):
        watching = watch(identity)
        if watching is not None:
            return watching

    def wait() -> None:
        with suppress(OSError):
            wait_until_free(held)

    return _in_thread(identity, wait)


def _dead(identity: str) -> Watch:
    ours, theirs = socket.socketpair()
    theirs.close()
    return Watch(identity, ours.fileno(), ours)


def _by_thread(identity: str) -> Watch:
    import psutil

    process = psutil.Process(pid_of(identity))

    def wait() -> None:
        with suppress(psutil.Error):
            process.wait()

    return _in_thread(identity, wait)


def _in_thread(identity: str, wait: Callable[[], None]) -> Watch:
    """A watch that is readable when ``wait`` has returned. Its thread does not delay the exit."""
    ours, theirs = socket.socketpair()

    def wait_and_close() -> None:
        wait()
        theirs.close()

    name = f"watch-{pid_of(identity)}"
    try:
        threading.Thread(target=wait_and_close, name=name, daemon=True).start()
    except RuntimeError as error:
        ours.close()
        theirs.close()
        raise BlockingIOError(errno.EAGAIN, str(error)) from error
    return Watch(identity, ours.fileno(), ours)
