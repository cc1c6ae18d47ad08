"""Steers jobs of ``steered``: each has a line to the test, and ends when the test lets it go."""

from __future__ import annotations

import json
import socket
from typing import IO, Self

from support.guards import GUARD


class Steering:
    """The test's end of the lines, by the names of the jobs."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(GUARD)
        self._lines: dict[str, tuple[socket.socket, IO[str]]] = {}

    @property
    def port(self) -> int:
        """Where the jobs connect to."""
        return self._listener.getsockname()[1]

    def say(self, name: str, progress: float, description: str) -> None:
        """Let the job report that."""
        self._order(name, {"progress": progress, "description": description})

    def ask(self, name: str, message: str) -> None:
        """Let the job ask for a name."""
        self._order(name, {"ask": message})

    def print(self, name: str, line: str) -> None:
        """Let the job print a line."""
        self._order(name, {"print": line})

    def _order(self, name: str, order: dict[str, object]) -> None:
        line = self._line(name)
        line.write(json.dumps(order) + "\n")
        line.flush()

    def let_go(self, name: str) -> None:
        """Let the job end."""
        orders = self._line(name)
        line, _ = self._lines.pop(name)
        orders.close()
        line.close()

    def arrive(self, name: str) -> None:
        """Wait until the job runs."""
        self._line(name)

    def _line(self, name: str) -> IO[str]:
        while name not in self._lines:
            line, _ = self._listener.accept()
            line.settimeout(GUARD)
            orders = line.makefile("rw")
            self._lines[orders.readline().strip()] = line, orders
        return self._lines[name][1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._lines):
            self.let_go(name)
        self._listener.close()
