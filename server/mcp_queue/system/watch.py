"""One way to learn that a process died, our child or not: a descriptor that becomes readable.

On Linux it is a pidfd; elsewhere a thread waits (kqueue or a process handle, through psutil) and
closes its end of a socket pair. A zombie is dead. A process of another pid namespace is watched by
a lock that it holds.
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
    """A watch over one process. ``fileno()`` is readable once the process is dead."""

    def __init__(self, identity: str, descriptor: int, keep: socket.socket | None) -> None:
        self.identity = identity
        self._descriptor = descriptor
        self._keep = keep
        self._is_pidfd = keep is None

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._descriptor

    def send(self, number: int) -> bool:
        """Send a signal to this very process; False when it is gone. Never hits a stranger."""
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
        if self._keep is not None:
            self._keep.close()
        else:
            os.close(self._descriptor)


def watch(identity: str) -> Watch | None:
    """Watch a process; one that is dead already reads as dead at once.

    None when it lives, if at all, in another pid namespace: it can never be known dead here.
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
        if state_of(identity) == DEAD:  # it died, and the pidfd may be a successor's
            os.close(descriptor)
            return _dead(identity)
        return Watch(identity, descriptor, None)
    return _by_thread(identity)


def watch_holder(identity: str, held: str) -> Watch:
    """`watch`; a process from elsewhere is dead once nobody holds the lock of the file ``held``."""
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
    """Readable once ``wait`` has returned; a thread of no use any more hinders no exit."""
    ours, theirs = socket.socketpair()

    def wait_and_tell() -> None:
        wait()
        theirs.close()

    name = f"watch-{pid_of(identity)}"
    try:
        threading.Thread(target=wait_and_tell, name=name, daemon=True).start()
    except RuntimeError as error:
        ours.close()
        theirs.close()
        raise BlockingIOError(errno.EAGAIN, str(error)) from error
    return Watch(identity, ours.fileno(), ours)
