"""Streams that a client of 2025-11-25 takes up again: what a session was sent is kept for a while.

Who lost a connection asks with ``Last-Event-ID`` for what came after (specification 2025-11-25,
basic/transports, "Resumability and Redelivery"). Each session has a store of its own, because the
numbers of its requests, which tell the streams apart, are not those of another session.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

if TYPE_CHECKING:
    from mcp.server.streamable_http import EventCallback
    from mcp_types import JSONRPCMessage

RETRY = 1000  # milliseconds that a client is asked to wait before it comes back
KEPT = 256  # events of one session
SIZE = 256 * 1024  # bytes of them together, unless one alone is larger


class Event(NamedTuple):
    """What was sent; ``message`` is None for what only begins a stream."""

    id: str
    stream: str
    message: JSONRPCMessage | None
    size: int


class Sent(EventStore):
    """The latest events of one session."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._size = 0
        self._count = 0

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event, forget the oldest, and return its id."""
        size = 0 if message is None else len(message.model_dump_json(exclude_unset=True))
        self._count += 1
        event = Event(str(self._count), stream_id, message, size)
        self._events.append(event)
        self._size += size
        while len(self._events) > KEPT or (self._size > SIZE and len(self._events) > 1):
            self._size -= self._events.popleft().size
        return event.id

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        """Send what came after an event on its stream; None if the event is not kept any more."""
        events = list(self._events)
        last = next((event for event in events if event.id == last_event_id), None)
        if last is None:
            return None
        for event in events[events.index(last) + 1 :]:
            if event.stream == last.stream and event.message is not None:
                await send_callback(EventMessage(event.message, event.id))
        return last.stream


class Sessions(StreamableHTTPSessionManager):
    """The SDK's sessions, each with a store of its own."""

    @property
    def event_store(self) -> EventStore | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A new one, for the session that is made."""
        return Sent()

    @event_store.setter
    def event_store(self, store: EventStore | None) -> None:
        """The SDK sets one for all sessions, which is not used."""
