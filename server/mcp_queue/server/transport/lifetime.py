"""The server's shutdown. The end of input, a signal or the parent's death begins it.

Only the first of these counts. The process exits within ``LIMIT`` seconds, even if a command blocks
the event loop or a thread.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import closing, suppress

import anyio

from mcp_queue.server.transport import diagnostics
from mcp_queue.system.identity import identity_of
from mcp_queue.system.watch import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_HANGUP = getattr(signal, "SIGHUP", None)
LIMIT = 0.9  # seconds from the beginning of the shutdown to the exit of the process


class Shutdown:
    """The shutdown of one server. Any thread can begin it; the event loop waits for it."""

    def __init__(self, watchdog: Watchdog | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = False
        self._event = anyio.Event()
        self._watchdog = watchdog

    def begin(self) -> None:
        """Begin the shutdown; a second call has no effect. A signal handler may call this."""
        if self._begun:
            return
        self._begun = True
        if self._watchdog is not None:
            self._watchdog.arm()
        with suppress(RuntimeError):  # raised if the loop is already closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Return when the shutdown has begun."""
        await self._event.wait()


class Watchdog:
    """Ends the process by force ``LIMIT`` seconds after ``arm``, with the exit status ``status``.

    It uses a plain lock and no event. ``arm`` runs in a signal handler, and setting an event could
    wait for a lock that the interrupted thread holds.
    """

    def __init__(self, status: int = 0) -> None:
        self._status = status
        self._gate = threading.Lock()
        self._gate.acquire()
        threading.Thread(target=self._watch, name="mcp-queue-watchdog", daemon=True).start()

    def arm(self) -> None:
        """Start the timer. Call this once."""
        self._gate.release()

    def _watch(self) -> None:
        self._gate.acquire()
        time.sleep(LIMIT)
        diagnostics.flush()
        os._exit(self._status)


def end_on_signals(shutdown: Shutdown, *, nohup: bool = False) -> None:
    """Begin the shutdown at each signal that asks a process to terminate.

    With ``nohup``, SIGHUP is left alone if it was ignored when the process started. The handlers
    stay until `ignore_signals`: without them, a second signal would kill the process during an
    orderly exit.
    """

    def begin(_number: int, _frame: FrameType | None) -> None:
        shutdown.begin()

    for number in _termination_signals():
        if nohup and number == _HANGUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        signal.signal(number, begin)


def ignore_signals() -> None:
    """Ignore the signals until the exit, since the interpreter removes handlers while it exits."""
    for number in _termination_signals():
        signal.signal(number, signal.SIG_IGN)


def _termination_signals() -> list[int]:
    """The signals that ask a process to terminate, on this system."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


async def end_with_parent(shutdown: Shutdown) -> None:
    """Begin the shutdown when the process that started this one has ended."""
    if sys.platform == "win32":
        return  # a Windows event loop cannot wait for it; there the input ends as well
    parent = identity_of(os.getppid())
    watched = watch(parent) if parent is not None else None
    if watched is None:
        return
    with closing(watched):
        await anyio.wait_readable(watched.fileno())
        shutdown.begin()
