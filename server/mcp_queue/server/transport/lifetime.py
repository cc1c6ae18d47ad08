"""The server's end: the first of end of input, a signal and the parent's death begins it.

It is begun once, however many of them come, and is over within ``LIMIT`` seconds even if a
command holds the event loop or a thread.
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
LIMIT = 0.9  # seconds from the beginning of the end to the process's exit


class Ending:
    """The end of one server: begun from anywhere, waited for in the event loop."""

    def __init__(self, watchdog: Watchdog | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = False
        self._event = anyio.Event()
        self._watchdog = watchdog

    def begin(self) -> None:
        """Begin the end; does nothing the second time. May be called in a signal handler."""
        if self._begun:
            return
        self._begun = True
        if self._watchdog is not None:
            self._watchdog.arm()
        with suppress(RuntimeError):  # raised for a signal after the loop was closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Return once the end has begun."""
        await self._event.wait()


class Watchdog:
    """Ends the process ``LIMIT`` seconds after ``arm``, whatever still runs in it.

    A lock and no event: taking part in a signal handler, ``arm`` must not wait for a lock that
    the interrupted thread holds. ``status`` is the process's exit status.
    """

    def __init__(self, status: int = 0) -> None:
        self._status = status
        self._gate = threading.Lock()
        self._gate.acquire()
        threading.Thread(target=self._watch, name="mcp-queue-watchdog", daemon=True).start()

    def arm(self) -> None:
        """Start the clock. To be called once."""
        self._gate.release()

    def _watch(self) -> None:
        self._gate.acquire()
        time.sleep(LIMIT)
        diagnostics.flush()
        os._exit(self._status)


def end_on_signals(ending: Ending, *, nohup: bool = False) -> None:
    """Let the signals that ask a process to go begin the end.

    With ``nohup``, SIGHUP does so only where it was not ignored when the process was started.
    The handlers stay until `ignore_signals`: taking them away would let a second signal kill it in
    the middle of an orderly exit.
    """

    def begin(_number: int, _frame: FrameType | None) -> None:
        ending.begin()

    for number in _asking():
        if nohup and number == _HANGUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        signal.signal(number, begin)


def ignore_signals() -> None:
    """From the end on to the process's exit: the interpreter takes handlers away as it leaves."""
    for number in _asking():
        signal.signal(number, signal.SIG_IGN)


def _asking() -> list[int]:
    """The signals that ask a process to go, where it runs."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


async def end_with_parent(ending: Ending) -> None:
    """Begin the end when the process that started this one is gone."""
    if sys.platform == "win32":
        return  # a Windows event loop cannot wait for it; the end of the input tells there
    parent = identity_of(os.getppid())
    watched = watch(parent) if parent is not None else None
    if watched is None:
        return
    with closing(watched):
        await anyio.wait_readable(watched.fileno())
        ending.begin()
