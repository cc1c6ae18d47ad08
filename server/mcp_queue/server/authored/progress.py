"""Progress notifications of an open request.

Their values strictly increase, changes of a short time are sent as one, and heartbeats go out while
a job reports nothing.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio

from mcp_queue import clock
from mcp_queue.commands.job import Job, Sink
from mcp_queue.printable import as_message
from mcp_queue.server.protocol.eras import shows_forms, wants_progress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Mapping

    from mcp_queue.server.asking.caller import Caller
    from mcp_queue.server.asking.person import Person
    from mcp_queue.server.protocol.eras import Context

    Send = Callable[[float, float, str], Awaitable[None]]

TOTAL = 100.0  # progress is in percent
STEP = 0.001  # constant, because a shrinking step would vanish in floating point
GAP = 0.05  # seconds between two notifications, at least
SILENCE = 5.0  # seconds without a notification after which a heartbeat is sent
LAST = 0.5  # seconds for the last notification if the client does not read


class Meter:
    """Makes the reported values strictly increasing, as the protocol requires."""

    def __init__(self) -> None:
        self._sent = -STEP

    def next(self, percent: float) -> float:
        """The value to send for ``percent``, which may be lower than before."""
        self._sent = max(percent, self._sent + STEP)
        return self._sent


def message(percent: float, description: str, elapsed: float | None = None) -> str:
    """The text of a notification: percent, description, and in a heartbeat ``elapsed`` seconds."""
    text = f"{percent:.1f}".removesuffix(".0") + "%"
    if description:
        text = f"{text} · {description}"
    return text if elapsed is None else f"{text} · {elapsed:.0f} s"


class ProgressSink(Sink):
    """The sink of a job that runs within a request. Any thread may call its methods."""

    def __init__(
        self,
        send: Send | None,
        context: Context | None = None,
        state: Mapping[str, Any] | None = None,
        tasks: Container[str] | None = None,
    ) -> None:
        self._send = send
        self._context = context
        self._state = state
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._started = clock.monotonic()
        self._percent, self._description = 0.0, ""
        self._changed = False
        self._wake, self._finished = anyio.Event(), anyio.Event()
        self._meter = Meter()
        self._stopping = False
        self._caller: Caller | None = None

    def progress(self, percent: float | None, description: str | None) -> None:
        """Store a report of the job. Of several within `GAP` seconds, the last one is sent."""
        before = self._percent, self._description
        if percent is not None:
            self._percent = percent
        if description is not None:
            self._description = description
        if self._send is not None and before != (self._percent, self._description):
            with suppress(RuntimeError):  # raised in a thread that runs longer than the server
                self._loop.call_soon_threadsafe(self._mark)

    def log(self, line: str) -> None:
        """Print a line to the server's standard error."""
        print(as_message(line), file=sys.stderr)

    def stopping(self) -> bool:
        """Whether the request was cancelled. A command in a thread has no other way to find out."""
        return self._stopping

    def form_channel(self) -> Person | None:
        """The person as a `builtin.asking.FormChannel`; None if the client cannot show forms."""
        if self._context is None or not shows_forms(self._context):
            return None
        from mcp_queue.server.asking.person import Person

        return Person(self._context, self._state, self._tasks)

    def question_channel(self) -> Caller | None:
        """The object behind ``job.ask`` (`commands.asking.QuestionChannel`).

        None if the client cannot show forms.
        """
        if self._caller is None and self._context is not None and shows_forms(self._context):
            from mcp_queue.server.asking.caller import Caller

            self._caller = Caller(self._context, self._loop, self._state)
        return self._caller

    def stop(self) -> None:
        """Set `stopping`, and end a question of the command that is open."""
        self._stopping = True
        if self._caller is not None:
            self._caller.stop()

    async def run(self) -> None:
        """Send notifications until `finish`, and the last state then."""
        while not self._finished.is_set():
            with anyio.move_on_after(SILENCE):
                await self._wake.wait()
            self._wake = anyio.Event()
            if self._changed or not self._finished.is_set():
                await self._send_state()
            with anyio.move_on_after(GAP):
                await self._finished.wait()
        if self._changed:
            await self._send_state()

    async def finish(self, sender: asyncio.Task[None]) -> None:
        """Let ``sender``, the task of `run`, send the last state; at most `LAST` seconds."""
        await asyncio.sleep(0)  # callbacks of earlier reports run first
        self._finished.set()
        self._wake.set()
        await asyncio.wait([sender], timeout=LAST)

    def _mark(self) -> None:
        self._changed = True
        self._wake.set()

    async def _send_state(self) -> None:
        elapsed = None if self._changed else clock.monotonic() - self._started
        self._changed = False
        text = message(self._percent, self._description, elapsed)
        if self._send is not None:
            value = self._meter.next(self._percent)
            await self._send(value, max(TOTAL, value), text)


@asynccontextmanager
async def reporting(
    context: Context,
    state: Mapping[str, Any] | None = None,
    tasks: Container[str] | None = None,
) -> AsyncGenerator[Job]:
    """A `Job` for a command that runs within this request; its progress goes to the client.

    ``state``, ``tasks``: see `Person`. Nothing is sent after the block, and nothing at all if the
    request has no progress token.
    """
    send = context.session.report_progress if wants_progress(context) else None
    sink = ProgressSink(send, context, state, tasks)
    # Not a task group: that would wrap exceptions of the command in a group.
    sender = asyncio.create_task(sink.run()) if send is not None else None
    try:
        yield Job(str(context.request_id), 1, sink)
        if sender is not None:
            await sink.finish(sender)
    finally:
        sink.stop()
        if sender is not None:
            sender.cancel()
            await asyncio.wait([sender])
