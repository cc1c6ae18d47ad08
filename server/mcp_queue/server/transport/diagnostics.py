"""Standard error that never blocks: printed text reaches the client if the client reads it.

The client's standard error is a pipe, and the client may not read it. So descriptors 1 and 2 are
connected to a thread of this process, which puts their data into a bounded buffer. Text that Python
prints goes into the buffer directly. A second thread writes the buffer to the client. Data that
does not fit into the buffer is dropped, and a line in its place says how many bytes are missing.
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

CAPACITY = 1 << 20  # bytes of the buffer
OVERHEAD = 64  # bytes of memory that one piece in the buffer costs besides its data
CHUNK = 1 << 16  # bytes written at once
STALL = 0.5  # seconds after which a blocked write to descriptor 1 or 2 fails
FLUSH = 0.2  # seconds to write the rest of the buffer at the end of the process
GRACE = 0.05  # the same if the end of the process is overdue

_buffer: OutputBuffer | None = None


def install(real: int) -> OutputBuffer:
    """Redirect descriptors 1 and 2, ``sys.stdout`` and ``sys.stderr`` to ``real``.

    ``real`` is a descriptor of the client's standard error; the buffer owns it. Call this once.
    """
    global _buffer  # noqa: PLW0603 - there is one standard error
    buffer = _buffer = OutputBuffer(real)
    _redirect_crash_reports(real)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = _stream(buffer, getattr(sys, name), number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    buffer.start()
    atexit.register(buffer.close, FLUSH)
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=buffer.begin_in_child)
    return buffer


def flush(seconds: float = GRACE) -> None:
    """Write the rest of the buffer, just before this process is ended by force."""
    if _buffer is not None:
        _buffer.close(seconds)


class OutputBuffer:
    """Printed data that the client has not yet read."""

    def __init__(self, real: int) -> None:
        self._real = real
        self.is_terminal = os.isatty(real)
        self._pieces: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        # Reentrant: a finalizer or a signal handler may print while its thread holds the lock.
        self._lock = threading.RLock()
        self._size = 0
        self._dropped = 0  # bytes since the last notice
        self._full = False
        self._in_line = False  # whether the last piece ends within a line
        self._direct = False  # no thread empties the buffer any more
        self._patience: float | None = 0.0  # seconds that a direct write may wait
        self._reader: threading.Thread | None = None
        self._pipe, write = _output_pipe()
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)

    def start(self) -> None:
        """Start the threads. They die with the process."""
        self._reader = threading.Thread(target=self._read, name="mcp-queue-stderr-in", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="mcp-queue-stderr-out", daemon=True).start()

    def put(self, data: bytes) -> None:
        """Add ``data``, or as much of it as fits. Never waits."""
        if self._direct:
            self._put_directly(data)
            return
        with self._lock:
            if self._full:
                self._dropped += len(data)
                return
            if self._dropped:
                self._add(self._take_drop_notice())
            fits = max(0, CAPACITY - self._size)
            if len(data) > fits:
                self._full = True
                self._dropped += len(data) - fits
            if fits:
                self._add(data[:fits])

    def close(self, seconds: float) -> None:
        """Write the buffer out, for at most ``seconds``; later data is written directly."""
        if self._direct:
            return
        until = time.monotonic() + seconds
        _redirect_to_null()  # the reader sees the end of the pipe, unless a child has it open
        if self._reader is not None:
            self._reader.join(max(0.0, until - time.monotonic()))
        with self._lock:
            if self._dropped:
                self._add(self._take_drop_notice())
        written = threading.Event()
        self._pieces.put(written)
        written.wait(max(0.0, until - time.monotonic()))
        self._direct = True
        if _is_writable(self._real):
            os.dup2(self._real, 1)
            os.dup2(self._real, 2)

    def begin_in_child(self) -> None:
        """Write directly to descriptor 2, the parent's pipe: a forked child has no threads."""
        self._lock = threading.RLock()
        self._direct, self._patience = True, None
        if self._real != 2:  # it is 2 in the child of a child
            os.close(self._pipe)
            os.close(self._real)
            self._real = 2

    def _add(self, data: bytes) -> None:
        self._size += len(data) + OVERHEAD
        self._in_line = not data.endswith(b"\n")
        self._pieces.put(data)

    def _take_drop_notice(self) -> bytes:
        count, self._dropped = self._dropped, 0
        begin = b"\n" if self._in_line else b""
        return b"%bmcp-queue: %d bytes were dropped here: nobody read them in time\n" % (
            begin,
            count,
        )

    def _read(self) -> None:
        """Add the data that C code and children write to the descriptors."""
        while data := os.read(self._pipe, CAPACITY):
            self.put(data)

    def _write(self) -> None:
        while True:
            first = self._pieces.get()
            if isinstance(first, threading.Event):
                first.set()
                continue
            pieces, marks = self._collect(first)
            _write_all(self._real, b"".join(pieces))
            with self._lock:
                self._size -= sum(map(len, pieces)) + OVERHEAD * len(pieces)
                self._full = self._full and self._size > CAPACITY // 2
                if self._dropped and self._pieces.empty():
                    self._full = False
                    self._add(self._take_drop_notice())
            for mark in marks:
                mark.set()

    def _collect(self, first: bytes) -> tuple[list[bytes], list[threading.Event]]:
        """The pieces of one write, and the marks between them."""
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
        """Write past the buffer: in forked children, and at the end of the process."""
        rest = memoryview(data)
        while rest and _is_writable(self._real, self._patience):
            try:
                rest = rest[os.write(self._real, rest[:512]) :]
            except OSError:
                return


class NonblockingOutput(io.RawIOBase):
    """The binary layer of ``sys.stdout`` and ``sys.stderr``. Writing to it never waits or fails."""

    mode = "wb"

    def __init__(self, buffer: OutputBuffer, number: int, terminal: bool) -> None:
        self._buffer = buffer
        self._number = number
        self._terminal = terminal
        self.name = ("<stdin>", "<stdout>", "<stderr>")[number]

    @property
    def raw(self) -> NonblockingOutput:
        """This object itself: it has no buffer of its own."""
        return self

    def write(self, data: ReadableBuffer, /) -> int:
        content = bytes(data)
        self._buffer.put(content)
        return len(content)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return self._terminal

    def close(self) -> None:
        """It stays open, since all code of the process shares it."""


def _stream(buffer: OutputBuffer, before: Any, number: int) -> io.TextIOWrapper:
    encoding, errors = "utf-8", "backslashreplace"
    if before is not None:
        encoding = before.encoding
        errors = before.errors if number == 1 else errors
        try:
            before.flush()
        except (OSError, ValueError):
            pass
    printed = NonblockingOutput(buffer, number, buffer.is_terminal)
    return io.TextIOWrapper(printed, encoding, errors, line_buffering=True)  # pyright: ignore[reportArgumentType]


def _output_pipe() -> tuple[int, int]:
    """A pair of connected descriptors, to read from and to write to.

    A socket pair, because a write to it can have a time limit. Without the limit, C code that holds
    the interpreter lock and writes into a full pipe would wait for ever: the thread that empties
    the pipe needs the lock, too. A non-blocking pipe would avoid that, but children inherit the
    mode, and would fail when they print faster than the pipe is emptied. Most hosts give sockets to
    their servers, too.
    """
    if sys.platform == "win32":
        return os.pipe()
    import socket

    reading, writing = socket.socketpair()
    seconds, rest = divmod(STALL, 1)
    limit = pack("ll", int(seconds), int(rest * 1_000_000))
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CAPACITY)
    return reading.detach(), writing.detach()


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all data, however long that takes. If the reader is gone, the data is dropped."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process that shares it made it non-blocking
            select.select([], [descriptor], [])
        except OSError:
            return


def _is_writable(descriptor: int, seconds: float | None = 0.0) -> bool:
    """Whether a few bytes can be written within so many seconds. On Windows always False."""
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


def _redirect_to_null() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _redirect_crash_reports(real: int) -> None:
    """If faulthandler is enabled, let it write directly to ``real``."""
    if faulthandler.is_enabled():
        faulthandler.enable(real)
