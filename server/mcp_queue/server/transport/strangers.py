"""Connections of who has not come in yet: a bounded number, so that the rest are there for others.

Whoever can reach the port can open connections, each of which costs a descriptor. Past the bound,
the one that has stood at the entrance for longest is let go; a client with the token is in with its
first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import Scope

MOST = 512  # connections, half of the descriptors that a process usually may have


class Strangers:
    """The connections that nobody has come in by, the oldest first."""

    def __init__(self) -> None:
        self._connections: dict[Connection, None] = {}

    def protocol(self, **options: Any) -> Connection:
        """A new connection, as uvicorn makes one."""
        return Connection(self, **options)

    def add(self, connection: Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) > MOST:
            oldest = next(iter(self._connections))
            self.discard(oldest)
            oldest.transport.abort()

    def discard(self, connection: Connection) -> None:
        self._connections.pop(connection, None)


class Connection(H11Protocol):
    """A connection that is a stranger's until `come_in` is called for one of its requests."""

    def __init__(self, strangers: Strangers, **options: Any) -> None:
        super().__init__(**options)
        self._strangers = strangers
        self.app_state = {**self.app_state, _KEY: self._come_in}

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._strangers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._strangers.discard(self)
        super().connection_lost(exc)

    def _come_in(self) -> None:
        self._strangers.discard(self)


_KEY = "come_in"


def come_in(scope: Scope) -> None:
    """The request has what it needs: its connection is no stranger's any more."""
    state: dict[str, Callable[[], None]] = scope.get("state", {})
    if _KEY in state:
        state[_KEY]()
