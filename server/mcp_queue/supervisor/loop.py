"""The supervisor's event loop for descriptors, timers and signals: one thread, no coroutines."""

from __future__ import annotations

import heapq
import selectors
import signal
import socket
from itertools import count
from typing import TYPE_CHECKING, Protocol

from mcp_queue import clock

if TYPE_CHECKING:
    from collections.abc import Callable


class HasFileno(Protocol):
    """An object with a descriptor that the loop can wait for."""

    def fileno(self) -> int: ...


class Timer:
    """A call that is due once. `cancel` may be called any number of times."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Drop the call."""
        self._callback = None

    def fire(self) -> None:
        """Make the call, unless cancelled."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Loop:
    """Runs callbacks, one at a time, until `stop`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._stopped = False
        self._signals: dict[int, Callable[[], None]] = {}
        self._contained: tuple[type[Exception], ...] = ()
        self._on_error: Callable[[Exception], None] = lambda _: None
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self.on_readable(self._woken, self._take_signals)

    def on_readable(self, what: HasFileno, callback: Callable[[], None]) -> None:
        """Call back whenever ``what`` is readable, until `forget`."""
        self._selector.register(what.fileno(), selectors.EVENT_READ, callback)

    def forget(self, what: HasFileno) -> None:
        """Stop waiting for ``what``. Call this before it is closed."""
        self._selector.unregister(what.fileno())

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call back, between other callbacks, after a signal."""
        self._signals[number] = callback
        signal.signal(number, lambda _number, _frame: None)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once after ``seconds``."""
        timer = Timer(callback)
        heapq.heappush(
            self._timers, (clock.monotonic() + max(0.0, seconds), next(self._order), timer)
        )
        return timer

    def contain(
        self, errors: tuple[type[Exception], ...], on_error: Callable[[Exception], None]
    ) -> None:
        """Pass these errors of callbacks to ``on_error`` and go on."""
        self._contained, self._on_error = errors, on_error

    def stop(self) -> None:
        """Return from `run` after the callback that calls this."""
        self._stopped = True

    def run(self) -> None:
        """Wait and call until stopped."""
        while not self._stopped:
            for key, _ in self._selector.select(self._until_next()):
                # An earlier callback of this round may have forgotten it.
                if not self._stopped and self._selector.get_map().get(key.fd) is key:
                    self._call(key.data)
            self._fire_due()

    def close(self) -> None:
        """Release the loop's own descriptors."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except self._contained as error:
            self._on_error(error)

    def _until_next(self) -> float | None:
        return max(0.0, self._timers[0][0] - clock.monotonic()) if self._timers else None

    def _fire_due(self) -> None:
        while not self._stopped and self._timers and self._timers[0][0] <= clock.monotonic():
            self._call(heapq.heappop(self._timers)[2].fire)

    def _take_signals(self) -> None:
        for number in self._woken.recv(4096):
            if number in self._signals:
                self._signals[number]()
