"""Progress of an open request: strictly increasing, coalesced, and alive while a job is silent."""

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
STEP = 0.001  # a constant: a step that shrinks would stop growing in floating point
GAP = 0.05  # seconds between two notifications at least
SILENCE = 5.0  # seconds after which a heartbeat goes out
LAST = 0.5  # seconds for the last state, when the client does not read


class Meter:
    """Turns what a job reports into values that strictly increase, as the protocol demands."""

    def __init__(self) -> None:
        self._sent = -STEP

    def next(self, percent: float) -> float:
        """The value to send for ``percent``, which may have fallen."""
        self._sent = max(percent, self._sent + STEP)
        return self._sent


def message(percent: float, description: str, elapsed: float | None = None) -> str:
    """The true percent and what is being done; ``elapsed`` seconds make it a heartbeat."""
    text = f"{percent:.1f}".removesuffix(".0") + "%"
    if description:
        text = f"{text} · {description}"
    return text if elapsed is None else f"{text} · {elapsed:.0f} s"


class Reporter(Sink):
    """The sink of a job that runs within a request. Its methods may be called in any thread."""

    def __init__(
        self,
        send: Send | None,
        context: Context | None = None,
        leaves: Mapping[str, Any] | None = None,
        tasks: Container[str] | None = None,
    ) -> None:
        self._send = send
        self._context = context
        self._leaves = leaves
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._started = clock.monotonic()
        self._percent, self._description = 0.0, ""
        self._changed = False
        self._wake, self._over = anyio.Event(), anyio.Event()
        self._meter = Meter()
        self._stopping = False
        self._caller: Caller | None = None

    def progress(self, percent: float | None, description: str | None) -> None:
        """Take what the job reports; the last of a burst is what goes out."""
        before = self._percent, self._description
        if percent is not None:
            self._percent = percent
        if description is not None:
            self._description = description
        if self._send is not None and before != (self._percent, self._description):
            with suppress(RuntimeError):  # raised for a thread that outlived the server
                self._loop.call_soon_threadsafe(self._mark)

    def log(self, line: str) -> None:
        """A line to the server's standard error."""
        print(as_message(line), file=sys.stderr)

    def stopping(self) -> bool:
        """Whether the request was cancelled, which a command in a thread learns only here."""
        return self._stopping

    def person(self) -> Person | None:
        """Who can be asked by forms (`builtin.asking.Person`); None where the client shows none."""
        if self._context is None or not shows_forms(self._context):
            return None
        from mcp_queue.server.asking.person import Person

        return Person(self._context, self._leaves, self._tasks)

    def asking(self) -> Caller | None:
        """Who asks for ``job.ask`` (`commands.asking.Asking`); None where no forms are shown."""
        if self._caller is None and self._context is not None and shows_forms(self._context):
            from mcp_queue.server.asking.caller import Caller

            self._caller = Caller(self._context, self._loop, self._leaves)
        return self._caller

    def stop(self) -> None:
        """Say so to the command."""
        self._stopping = True
        if self._caller is not None:
            self._caller.stop()

    async def run(self) -> None:
        """Send until `finish`, and the last state then."""
        while not self._over.is_set():
            with anyio.move_on_after(SILENCE):
                await self._wake.wait()
            self._wake = anyio.Event()
            if self._changed or not self._over.is_set():
                await self._send_state()
            with anyio.move_on_after(GAP):
                await self._over.wait()
        if self._changed:
            await self._send_state()

    async def finish(self, sender: asyncio.Task[None]) -> None:
        """Let ``sender``, which runs `run`, come to its end, unless the client does not read."""
        await asyncio.sleep(0)  # what was reported before this is marked after it
        self._over.set()
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
    leaves: Mapping[str, Any] | None = None,
    tasks: Container[str] | None = None,
) -> AsyncGenerator[Job]:
    """The job of a command that runs within this request; its progress goes to the client.

    ``leaves``, ``tasks``: see `Person`.

    Nothing is sent after the block, and nothing at all without a progress token.
    """
    asked = wants_progress(context)
    reporter = Reporter(context.session.report_progress if asked else None, context, leaves, tasks)
    # Not a task group: it would wrap what the command raises.
    sender = asyncio.create_task(reporter.run()) if asked else None
    try:
        yield Job(str(context.request_id), 1, reporter)
        if sender is not None:
            await reporter.finish(sender)
    finally:
        reporter.stop()
        if sender is not None:
            sender.cancel()
            await asyncio.wait([sender])
