"""Progress by the clock, for a command with a known duration and no reports of its own."""

from __future__ import annotations

from time import monotonic

from mcp_queue.commands.job import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mcp_queue.commands.asking import QuestionChannel
    from mcp_queue.commands.contents import Source

STEPS = 10
MOST_STEPS = 10_000
FINAL_PERCENT = 90.0  # percent at the end of the duration, since the work may take longer


def pace_in(params: dict[str, Any]) -> tuple[float, int] | None:
    """The ``duration`` (seconds) and ``steps`` in params; None unless both are positive numbers."""
    duration, steps = params.get("duration"), params.get("steps", STEPS)
    for value in (duration, steps):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if not 0 < value < float("inf"):
            return None
    return float(duration), max(1, min(int(steps), MOST_STEPS))  # pyright: ignore[reportArgumentType]


class Pace(Sink):
    """A sink before a job's sink; it reports progress in ``steps`` equal steps of ``duration``.

    It reports nothing more after the command reported a percentage, or after `stop`.
    """

    def __init__(self, sink: Sink, duration: float, steps: int) -> None:
        from threading import Event, Lock, Thread

        self._sink = sink
        self._duration = duration
        self._steps = steps
        self._done = Event()
        self._lock = Lock()
        self._described = False
        Thread(target=self._run, name="pace", daemon=True).start()

    def __reduce__(self) -> tuple[object, ...]:
        return _unwrapped, (self._sink,)  # in another process the command reports to the real sink

    def progress(self, percent: float | None, description: str | None) -> None:
        """Pass on a report of the command."""
        with self._lock:
            if percent is not None:
                self._done.set()
            if description is not None:
                self._described = True
            self._sink.progress(percent, description)

    def log(self, line: str) -> None:
        """See `Sink`."""
        self._sink.log(line)

    def stopping(self) -> bool:
        """See `Sink`."""
        return self._sink.stopping()

    def question_channel(self) -> QuestionChannel | None:
        """See `Sink`."""
        return self._sink.question_channel()

    def form_channel(self) -> Any:
        """See `Sink`."""
        return self._sink.form_channel()

    def artifact(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """See `Sink`."""
        self._sink.artifact(name, source, about)

    def stop(self) -> None:
        """Report nothing more."""
        self._done.set()

    def _run(self) -> None:
        started, step = monotonic(), 0
        while step < self._steps:
            due = started + self._duration * (step + 1) / self._steps
            if self._done.wait(max(0.0, due - monotonic())):
                return
            elapsed = (monotonic() - started) / self._duration
            step = min(self._steps, max(step + 1, int(elapsed * self._steps)))
            with self._lock:
                if self._done.is_set():
                    return
                description = None if self._described else f"step {step} of {self._steps}"
                self._sink.progress(FINAL_PERCENT * step / self._steps, description)


def _unwrapped(sink: Sink) -> Sink:
    return sink
