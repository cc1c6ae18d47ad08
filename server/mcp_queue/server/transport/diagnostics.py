"""Standard error without waiting: what is printed in this process reaches the client if it reads.

The client's standard error is a pipe that nobody may read. So descriptors 1 and 2 lead to a thread
of our own, which takes what comes; text that Python prints goes into a bounded store without a
detour, and a second thread takes it from there to the client. What finds no room is dropped and
counted, and a line says so where it is missing.
"""

from __future__ import annotations

import atexit
import faulthandler
import io
import os
import select
import sys
import threading
import time
from queue import Empty, SimpleQueue
from struct import pack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ROOM = 1 << 20  # bytes that wait for the client to read them
PIECE = 64  # bytes that one piece of it costs besides its own
CHUNK = 1 << 16  # bytes written at once
STALL = 0.5  # seconds after which a write to descriptor 1 or 2 fails that finds no room
FLUSH = 0.2  # seconds for what was printed last, at the end of the process
GRACE = 0.05  # the same where the end is overdue

_store: Store | None = None


def put_in_place(real: int) -> Store:
    """Lead descriptors 1 and 2, ``sys.stdout`` and ``sys.stderr`` to ``real``.

    That is a descriptor of the client's standard error, and ours from now on. To be called once.
    """
    global _store  # noqa: PLW0603 - there is one standard error
    store = _store = Store(real)
    _keep_crash_reports(real)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = _stream(store, getattr(sys, name), number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    store.start()
    atexit.register(store.close, FLUSH)
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=store.begin_in_child)
    return store


def flush(seconds: float = GRACE) -> None:
    """Give what was printed a last chance before this process ends without further ado."""
    if _store is not None:
        _store.close(seconds)


class Store:
    """What was printed and waits for the client to read it."""

    def __init__(self, real: int) -> None:
        self._real = real
        self.is_terminal = os.isatty(real)
        self._pieces: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        # Reentrant: a finalizer, or a handler of a signal, may print while its thread is in here.
        self._lock = threading.RLock()
        self._held = 0
        self._dropped = 0  # bytes since the last time it was said
        self._full = False
        self._in_line = False  # whether what was taken last is no whole line
        self._direct = False  # nobody takes anything from the store any more
        self._patience: float | None = 0.0  # seconds that what goes out directly may wait
        self._reader: threading.Thread | None = None
        self._pipe, write = _pair()
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)

    def start(self) -> None:
        """Start the threads. They die with the process."""
        self._reader = threading.Thread(target=self._read, name="mcp-queue-stderr-in", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="mcp-queue-stderr-out", daemon=True).start()

    def put(self, data: bytes) -> None:
        """Take ``data``, or what there is room for. Never waits."""
        if self._direct:
            self._put_directly(data)
            return
        with self._lock:
            if self._full:
                self._dropped += len(data)
                return
            if self._dropped:
                self._add(self._lost())
            fits = max(0, ROOM - self._held)
            if len(data) > fits:
                self._full = True
                self._dropped += len(data) - fits
            if fits:
                self._add(data[:fits])

    def close(self, seconds: float) -> None:
        """Wait at most ``seconds`` for what was printed; what comes later goes out directly."""
        if self._direct:
            return
        until = time.monotonic() + seconds
        _lead_nowhere()  # the end of the pipe, unless a child holds it
        if self._reader is not None:
            self._reader.join(max(0.0, until - time.monotonic()))
        with self._lock:
            if self._dropped:
                self._add(self._lost())
        written = threading.Event()
        self._pieces.put(written)
        written.wait(max(0.0, until - time.monotonic()))
        self._direct = True
        if _is_writable(self._real):
            os.dup2(self._real, 1)
            os.dup2(self._real, 2)

    def begin_in_child(self) -> None:
        """In a forked child, which has no threads: descriptor 2 leads to the parent's pipe."""
        self._lock = threading.RLock()
        self._direct, self._patience = True, None
        if self._real != 2:  # else it is the child of a child
            os.close(self._pipe)
            os.close(self._real)
            self._real = 2

    def _add(self, data: bytes) -> None:
        self._held += len(data) + PIECE
        self._in_line = not data.endswith(b"\n")
        self._pieces.put(data)

    def _lost(self) -> bytes:
        count, self._dropped = self._dropped, 0
        begin = b"\n" if self._in_line else b""
        return b"%bmcp-queue: %d bytes were dropped here: nobody read them in time\n" % (
            begin,
            count,
        )

    def _read(self) -> None:
        """What came through the descriptors: from C, from children."""
        while data := os.read(self._pipe, ROOM):
            self.put(data)

    def _write(self) -> None:
        while True:
            first = self._pieces.get()
            if isinstance(first, threading.Event):
                first.set()
                continue
            pieces, marks = self._following(first)
            _write_all(self._real, b"".join(pieces))
            with self._lock:
                self._held -= sum(map(len, pieces)) + PIECE * len(pieces)
                self._full = self._full and self._held > ROOM // 2
                if self._dropped and self._pieces.empty():
                    self._full = False
                    self._add(self._lost())
            for mark in marks:
                mark.set()

    def _following(self, first: bytes) -> tuple[list[bytes], list[threading.Event]]:
        """As many pieces as make one write, and the marks that were found among them."""
        pieces, marks, size = [first], list[threading.Event](), len(first)
        while size < CHUNK and not marks:
            try:
                piece = self._pieces.get_nowait()
            except Empty:
                break
            if isinstance(piece, threading.Event):
                marks.append(piece)
            else:
                pieces.append(piece)
                size += len(piece)
        return pieces, marks

    def _put_directly(self, data: bytes) -> None:
        """At the end of the process, which waits for no client, and in forked children."""
        left = memoryview(data)
        while left and _is_writable(self._real, self._patience):
            try:
                left = left[os.write(self._real, left[:512]) :]
            except OSError:
                return


class Printed(io.RawIOBase):
    """The binary layer of ``sys.stdout`` and ``sys.stderr``. Writing to it never waits or fails."""

    mode = "wb"

    def __init__(self, store: Store, number: int, terminal: bool) -> None:
        self._store = store
        self._number = number
        self._terminal = terminal
        self.name = ("<stdin>", "<stdout>", "<stderr>")[number]

    @property
    def raw(self) -> Printed:
        """There is no buffer above it."""
        return self

    def write(self, data: ReadableBuffer, /) -> int:
        taken = bytes(data)
        self._store.put(taken)
        return len(taken)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return self._terminal

    def close(self) -> None:
        """Who closes it closes it for all: it stays open."""


def _stream(store: Store, before: Any, number: int) -> io.TextIOWrapper:
    encoding, errors = "utf-8", "backslashreplace"
    if before is not None:
        encoding = before.encoding
        errors = before.errors if number == 1 else errors
        try:
            before.flush()
        except (OSError, ValueError):
            pass
    printed = Printed(store, number, store.is_terminal)
    return io.TextIOWrapper(printed, encoding, errors, line_buffering=True)  # pyright: ignore[reportArgumentType]


def _pair() -> tuple[int, int]:
    """Two ends of a way, to read from and to write to.

    A socket, as most hosts give one to their servers, since writing to it has a time limit. Without
    that, C code that holds the interpreter and writes into a full pipe waits for ever: the thread
    that empties it needs the interpreter too. A pipe that nobody waits for has no such trouble, but
    children inherit that, and fail when they print faster than it is emptied.
    """
    if sys.platform == "win32":
        return os.pipe()
    import socket

    reading, writing = socket.socketpair()
    seconds, rest = divmod(STALL, 1)
    limit = pack("ll", int(seconds), int(rest * 1_000_000))
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
    return reading.detach(), writing.detach()


def _write_all(descriptor: int, data: bytes) -> None:
    """Write it, for as long as that takes; when nobody can read it any more it is gone."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # whoever shares it with us made it so
            select.select([], [descriptor], [])
        except OSError:
            return


def _is_writable(descriptor: int, seconds: float | None = 0.0) -> bool:
    """Whether a few bytes can be written within so many seconds. Windows cannot say: no."""
    if sys.platform == "win32":
        return False
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return any(
            event & select.POLLOUT
            for _, event in poll.poll(None if seconds is None else seconds * 1000)
        )
    except OSError:
        return False


def _lead_nowhere() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _keep_crash_reports(real: int) -> None:
    """What Python writes when it crashes, if it was told to, goes out at once."""
    if faulthandler.is_enabled():
        faulthandler.enable(real)
