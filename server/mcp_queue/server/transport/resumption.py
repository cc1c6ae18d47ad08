"""Streams that a client of 2025-11-25 can resume: the latest events of each session are stored.

A client that lost a connection sends ``Last-Event-ID`` to get the later events (specification
2025-11-25, basic/transports, "Resumability and Redelivery"). Each session has its own store,
because streams are identified by request ids, which are unique only within a session.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

if TYPE_CHECKING:
    from mcp.server.streamable_http import EventCallback
    from mcp_types import JSONRPCMessage

RETRY = 1000  # milliseconds that a client should wait before it reconnects
MAX_EVENTS = 256  # events of one session
MAX_BYTES = 256 * 1024  # bytes of all events of one session, unless a single one is larger


class Event(NamedTuple):
    """A sent event; ``message`` is None if it only begins a stream."""

    id: str
    stream: str
    message: JSONRPCMessage | None
    size: int


class SentEvents(EventStore):
    """The latest events of one session."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._size = 0
        self._count = 0

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Store an event, drop the oldest ones past the limits, and return the new id."""
        size = 0 if message is None else len(message.model_dump_json(exclude_unset=True))
        self._count += 1
        event = Event(str(self._count), stream_id, message, size)
        self._events.append(event)
        self._size += size
        while len(self._events) > MAX_EVENTS or (self._size > MAX_BYTES and len(self._events) > 1):
            self._size -= self._events.popleft().size
        return event.id

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        """Send the later events of the same stream; None if the event is not stored any more."""
        events = list(self._events)
        last = next((event for event in events if event.id == last_event_id), None)
        if last is None:
            return None
        for event in events[events.index(last) + 1 :]:
            if event.stream == last.stream and event.message is not None:
                await send_callback(EventMessage(event.message, event.id))
        return last.stream


class ResumableSessions(StreamableHTTPSessionManager):
    """The SDK's sessions, each with a store of its own."""

    @property
    def event_store(self) -> EventStore | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A new store: the SDK reads this property once for each session that it makes."""
        return SentEvents()

    @event_store.setter
    def event_store(self, store: EventStore | None) -> None:
        """Ignore the store that the SDK sets for all sessions."""
