"""Processes of tests: sleepers, and children whose death is proved by an end of file.

Pids lie, so a process that is to be watched connects to a listener of the test; the kernel closes
its end when it dies, whatever it had done to its session or environment.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import anyio

from support.guards import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterator


CONNECT = """
import socket, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
line.sendall(b"here")
line.recv(1)
"""
"""The code of a process that lives until its listener lets go of it."""

DAEMON = f"""
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.execve(sys.executable, [sys.executable, "-I", "-c", {CONNECT!r}, sys.argv[1]], {{}})
"""
"""The same in a session of its own, with a cleared environment, its parents gone."""


@contextmanager
def sleeper(*, ignore: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A child process that sleeps; dead and reaped at the end."""
    code = f"{ignore}\nprint(flush=True)\nimport time\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


class Lifelines:
    """A listener; each process that connects is known dead when its line ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(GUARD)
        self._lines: list[socket.socket] = []

    @property
    def port(self) -> int:
        """Where to connect to."""
        return self._listener.getsockname()[1]

    def take(self, count: int = 1) -> None:
        """Wait until ``count`` more processes are here."""
        for _ in range(count):
            line, _ = self._listener.accept()
            line.settimeout(GUARD)
            self._lines.append(line)
            assert line.recv(4) == b"here"

    async def arrive(self, count: int = 1) -> None:
        """`take` for an event loop."""
        for _ in range(count):
            with anyio.fail_after(GUARD):
                await anyio.wait_readable(self._listener)
            self.take()

    def let_go(self) -> None:
        """Let go of every process that came so far; they are proved dead no more."""
        while self._lines:
            self._lines.pop().close()

    async def end(self) -> None:
        """`all_dead` for an event loop."""
        for line in self._lines:
            with anyio.fail_after(GUARD):
                await anyio.wait_readable(line)
        self.all_dead()

    def all_dead(self) -> None:
        """Wait for the death of every process that came."""
        for line in self._lines:
            try:
                assert line.recv(1) == b""
            except ConnectionResetError:
                continue

    def living(self) -> int:
        """How many of them live now."""
        return sum(_is_open(line) for line in self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()
        self._listener.close()


def _is_open(line: socket.socket) -> bool:
    line.settimeout(0)
    try:
        return line.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        line.settimeout(GUARD)
