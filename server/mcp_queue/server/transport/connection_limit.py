"""A limit for HTTP connections without a valid request, so that descriptors remain for clients.

Every program that reaches the port can open connections, and each one uses a descriptor. Past the
limit, the oldest connection without a valid request is closed. A client with the token is safe
after its first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import Scope

MAX_UNAUTHENTICATED = 512  # connections: half of the usual limit of descriptors in a process


class ConnectionLimit:
    """The connections without a valid request, the oldest first."""

    def __init__(self) -> None:
        self._connections: dict[Connection, None] = {}

    def protocol(self, **options: Any) -> Connection:
        """A new connection; uvicorn calls this in place of a protocol class."""
        return Connection(self, **options)

    def add(self, connection: Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) > MAX_UNAUTHENTICATED:
            oldest = next(iter(self._connections))
            self.discard(oldest)
            oldest.transport.abort()

    def discard(self, connection: Connection) -> None:
        self._connections.pop(connection, None)


class Connection(H11Protocol):
    """A connection that counts toward the limit until `admit` is called for one of its requests."""

    def __init__(self, limit: ConnectionLimit, **options: Any) -> None:
        super().__init__(**options)
        self._limit = limit
        self.app_state = {**self.app_state, _KEY: self._admit}

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._limit.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit.discard(self)
        super().connection_lost(exc)

    def _admit(self) -> None:
        self._limit.discard(self)


_KEY = "admit"


def admit(scope: Scope) -> None:
    """Take the connection of a valid request out of the limit."""
    state: dict[str, Callable[[], None]] = scope.get("state", {})
    if _KEY in state:
        state[_KEY]()
