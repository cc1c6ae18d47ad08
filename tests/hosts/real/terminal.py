"""A program in a terminal of its own: what it shows, and keys for it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = 60.0  # seconds
ROWS, COLUMNS = 50, 160
DOWN, ENTER = "\x1b[B", "\r"
_SPACES = re.compile(r"\x1b\[(\d*)C")
_CONTROL = re.compile(
    r"\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]"
)


class Terminal:
    """Starts a program on a pseudo-terminal; a context manager that ends it."""

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str], folder: Path) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:  # the program
            os.chdir(folder)
            os.execve(command[0], [str(part) for part in command], dict(env))
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)
        self._written = bytearray()
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> int:
        """How much it has written so far, to give to `wait_for`."""
        with self._news:
            return len(self._written)

    def text(self, since: int = 0) -> str:
        """What it has written, without colours and movements."""
        with self._news:
            written = self._written[since:].decode(errors="replace")
        return _CONTROL.sub("", _SPACES.sub(lambda m: " " * int(m[1] or 1), written))

    def wait_for(self, pattern: str, since: int = 0, timeout: float = GUARD) -> str:
        """Wait until what it has written since matches ``pattern``, spaces left out of both."""
        deadline = time.monotonic() + timeout
        wanted = re.compile(pattern.replace(" ", ""), re.IGNORECASE)
        while True:
            text = self.text(since)
            if wanted.search(re.sub(r"\s", "", text)):
                return text
            with self._news:
                if self._ended or not self._news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{pattern!r} is not shown:\n{text[-3000:]}")

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def wait(self, timeout: float = GUARD) -> None:
        """Wait until the program has ended."""
        self._reader.join(timeout)
        if self._reader.is_alive():
            raise AssertionError(f"the program goes on:\n{self.text()[-2000:]}")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
        self._reader.join(GUARD)
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    def _read(self) -> None:
        while True:
            try:
                select.select([self._descriptor], [], [])
                data = os.read(self._descriptor, 65536)
            except OSError:  # the program has ended
                data = b""
            with self._news:
                self._written += data
                self._ended = not data
                self._news.notify_all()
            if not data:
                return
