"""The worker's voice: events for the supervisor, throttled, and the ear for its stop."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock  # threading costs 3 ms of a worker's start
from time import monotonic

from mcp_queue.jobs import bell, events
from mcp_queue.system import crash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_queue.commands.contents import Source
    from mcp_queue.jobs.folder import RunFolder
    from mcp_queue.worker.questions import Questions

INTERVAL = 0.02  # seconds between two progress events; the last one is never dropped


class Reporter:
    """Where a job's calls go (`commands.job.Sink`). Safe to use from several threads."""

    def __init__(self, run: RunFolder, supervisor_bell: str, attempt: int = 1) -> None:
        self.run = run
        self.kept: set[str] = set()  # names of artifacts
        self._attempt = attempt
        self._bell = supervisor_bell
        self._lock = allocate_lock()
        self._waiting: dict[str, object] = {}
        self._sent_at = float("-inf")
        self._flushing = False
        self._ended = False
        self._questions: Questions | None = None
        self.stop_asked = False

    def send(self, kind: str, fields: dict[str, object]) -> None:
        """Append one event and ring."""
        events.append(self.run.events, kind, fields)
        bell.ring(self._bell)

    def say(self, kind: str, fields: dict[str, object]) -> None:
        """Append one event, what was reported before it ahead of it."""
        with self._lock:
            if not self._ended:
                self._flush()
                self.send(kind, fields)

    def asking(self) -> Questions:
        """Who asks the person (`commands.asking.Asking`)."""
        from mcp_queue.worker.questions import Questions

        with self._lock:
            if self._questions is None:
                self._questions = Questions(self.run, self._attempt, self)
            return self._questions

    def stop(self) -> None:
        """A stop is asked; who waits for an answer learns it. For signal handlers too."""
        self.stop_asked = True
        if self._questions is not None:
            self._questions.ring()

    def progress(self, percent: float | None, description: str | None) -> None:
        """Report the state; what comes faster than `INTERVAL` is merged, the last state wins."""
        with self._lock:
            if percent is not None:
                self._waiting["progress"] = percent
            if description is not None:
                self._waiting["description"] = description
            if self._flushing or self._ended:
                return
            if monotonic() - self._sent_at >= INTERVAL:
                self._flush()
                return
            self._flushing = True
        import threading

        try:
            threading.Thread(target=self._flush_later, name="progress", daemon=True).start()
        except RuntimeError:  # no thread to be had
            self._flush_later()

    def log(self, line: str) -> None:
        """A line to ``stderr.log``; a job's log never raises."""
        text = line if line.endswith("\n") else line + "\n"
        try:
            events.write_all(2, text.encode("utf-8", "backslashreplace"))
        except OSError:
            pass

    def stopping(self) -> bool:
        """Whether a stop was asked: by signal, or where there are none, by the control file."""
        if sys.platform == "win32" and not self.stop_asked:
            lines, _ = events.read(self.run.control, 0)
            self.stop_asked = any(line["e"] == events.STOP for line in lines)
        return self.stop_asked

    def artifact(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Keep a file; see `commands.job.Job.artifact`."""
        from mcp_queue.worker.keep import keep

        keep(self, name, source, about)

    def tell_artifact(self, name: str, fields: dict[str, object]) -> None:
        """Say that a file is kept, unless the job has ended."""
        self.kept.add(name)
        self.say(events.ARTIFACT, {"name": name, **fields})

    def store_result(self, text: str) -> None:
        """Put a large result into ``result.json``, on disk before the outcome tells of it."""
        descriptor = os.open(self.run.result, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            events.write_all(descriptor, text.encode())
            crash.point("outcome.before_fsync")
            os.fsync(descriptor)
            crash.point("outcome.after_fsync")
        finally:
            os.close(descriptor)

    def finish(self, outcome: dict[str, object]) -> None:
        """Say how the job ended, the last progress before it; nothing is said after it."""
        with self._lock:
            self._flush()
            self._ended = True
            self.send(events.OUTCOME, outcome)
        crash.point("outcome.after_line")

    def _flush(self) -> None:
        if self._waiting and not self._ended:
            fields, self._waiting = self._waiting, {}
            self._sent_at = monotonic()
            try:
                self.send(events.PROGRESS, fields)
            except OSError:  # a full disk ends no job; the next report tells it
                self._waiting = fields

    def _flush_later(self) -> None:
        from time import sleep

        sleep(max(0.0, self._sent_at + INTERVAL - monotonic()))
        with self._lock:
            self._flushing = False
            self._flush()
