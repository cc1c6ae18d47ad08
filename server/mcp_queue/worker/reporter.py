"""The worker's voice: events for the supervisor, throttled, and the ear for its stop.

It works in children of the job too, forked or spawned, which report for themselves.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # threading costs 3 ms of a worker's start
from time import monotonic, sleep

from mcp_queue.commands.job import Sink
from mcp_queue.jobs import bell, events, spare
from mcp_queue.jobs.run_folder import RunFolder
from mcp_queue.system import crash
from mcp_queue.worker import kept_files
from mcp_queue.worker.kept_files import KeptFile, Room, despite_limits
from mcp_queue.worker.stop_request import StopRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_queue.commands.asking import QuestionChannel
    from mcp_queue.commands.contents import Source
    from mcp_queue.worker.keep import Artifacts
    from mcp_queue.worker.questions import Questions

INTERVAL = 0.02  # seconds between two progress events; the last one is never dropped


APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
BURST = 50  # progress events that a child may send at once: it may end without a last word


class Reporter(Sink):
    """Where a job's calls go. Safe to use from several threads."""

    def __init__(
        self,
        run: RunFolder,
        supervisor_bell: str,
        attempt: int = 1,
        artifact_cap: int | None = None,
    ) -> None:
        self.run = run
        self._artifact_cap = artifact_cap
        self._attempt = attempt
        self._bell = supervisor_bell
        self._events: KeptFile | None = None
        self._result: KeptFile | None = None
        self._room: Room | None = None
        self._unstored = b""  # the result, where only the spare room takes it
        self._lock = allocate_lock()
        self._waiting: dict[str, object] = {}
        self._sent_at = float("-inf")
        self._flushing = False
        self._ended = False
        self._burst = 0.0
        self._questions: Questions | None = None
        self._artifacts: Artifacts | None = None
        self.is_child = False
        self._stop = StopRequest(run.control)

    def open(self, events_file: int | None) -> None:
        """Open, before user code runs, what the end of the job needs.

        ``events_file``: the descriptor of ``events.jsonl``, where it is open already.
        """
        self._events = KeptFile(self.run.events, APPEND, kept_files.EVENTS, events_file)
        self._result = KeptFile(self.run.result, os.O_RDWR | os.O_CREAT, kept_files.RESULT)
        os.ftruncate(self._result.descriptor, spare.SIZE)
        self._room = Room()

    def make_room(self) -> None:
        """User code has ended: give back what was held for what follows."""
        if self._room is not None:
            self._room.make()

    def become_child(self) -> None:
        """This process is a fork of the job: nothing that its threads did goes on here."""
        self._lock = allocate_lock()
        self._waiting, self._flushing = {}, False
        self._burst, self.is_child = BURST, True

    def __reduce__(self) -> tuple[object, ...]:
        return _in_child, (self.run.path, self._bell, self._attempt, self._artifact_cap)

    def send(self, kind: str, fields: dict[str, object]) -> None:
        """Append one event and ring."""
        if self._events is None:
            self._events = KeptFile(self.run.events, APPEND)
        events.append_to(self._events.descriptor, events.line_of(kind, fields))
        bell.ring(self._bell, self.run.run_id)

    def say(self, kind: str, fields: dict[str, object]) -> None:
        """Append one event, what was reported before it ahead of it."""
        with self._lock:
            if not self._ended:
                self._flush()
                self.send(kind, fields)

    def question_channel(self) -> QuestionChannel:
        """Who asks the person (`commands.asking.QuestionChannel`)."""
        from mcp_queue.worker.questions import Elsewhere, Questions

        if self.is_child:
            return Elsewhere()
        with self._lock:
            if self._questions is None:
                self._questions = Questions(self.run, self._attempt, self.say, self._stop)
            return self._questions

    def stop(self) -> None:
        """A stop is asked; who waits for an answer learns it. For signal handlers too."""
        self._stop.made = True
        if self._questions is not None:
            self._questions.ring()

    def progress(self, percent: float | None, description: str | None) -> None:
        """Report the state; what comes faster than `INTERVAL` is merged, the last state wins."""
        with self._lock:
            if percent is not None:
                self._waiting["progress"] = percent
            if description is not None:
                self._waiting["description"] = description
            if self._ended or (self._flushing and not self.is_child):
                return
            if self._may_send():
                self._flush()
                return
            if self._flushing:
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
        """Whether a stop was asked, as far as the signal or the control file tell."""
        return self._stop.look()

    @property
    def stop_asked(self) -> bool:
        """The same without a look at the file."""
        return self._stop.made

    def artifact(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Keep a file; see `commands.job.Job.artifact`."""
        self.artifacts().keep(name, source, about)

    def artifacts(self) -> Artifacts:
        """The files that the job keeps."""
        from mcp_queue.worker.keep import Artifacts

        with self._lock:
            if self._artifacts is None:
                self._artifacts = Artifacts(self.run, self._artifact_cap, self.say)
            return self._artifacts

    def store_result(self, text: str) -> None:
        """Put a large result into ``result.json``, on disk before the outcome tells of it."""
        data = text.encode()
        result = self._result or KeptFile(self.run.result, os.O_RDWR | os.O_CREAT)
        self._result = result

        def write() -> None:
            os.lseek(result.descriptor, 0, os.SEEK_SET)
            events.write_all(result.descriptor, data)
            os.ftruncate(result.descriptor, len(data))

        try:
            despite_limits(write)
        except OSError:
            if not spare.fits(b"", data):
                raise
            self._unstored = data
            return
        crash.point("outcome.before_fsync")
        os.fsync(result.descriptor)
        crash.point("outcome.after_fsync")
        self._result = None

    def finish(self, outcome: dict[str, object]) -> None:
        """Say how the job ended, the last progress before it; nothing is said after it."""
        with self._lock:
            self._flush()
            self._ended = True
            self._say_outcome(outcome)
        crash.point("outcome.after_line")

    def _say_outcome(self, outcome: dict[str, object]) -> None:
        try:
            if self._unstored:
                raise OSError
            despite_limits(lambda: self.send(events.OUTCOME, outcome))
        except OSError:
            line = events.line_of(events.OUTCOME, outcome)
            if self._result is None or not spare.fits(line, self._unstored):
                raise
            spare.write(self._result.descriptor, line, self._unstored)
            return
        if self._result is not None:  # nothing stands in it
            self._result.close()
            try:
                os.unlink(self.run.result)
            except OSError:
                pass

    def _may_send(self) -> bool:
        """Whether a progress event may go out at once; in a child also as one of a burst."""
        passed = monotonic() - self._sent_at
        if not self.is_child:
            return passed >= INTERVAL
        self._burst = min(self._burst + passed / INTERVAL, BURST) - 1.0
        if self._burst >= 0:
            return True
        self._burst += 1.0
        return False

    def _flush(self) -> None:
        if self._waiting and not self._ended:
            fields, self._waiting = self._waiting, {}
            self._sent_at = monotonic()
            try:
                self.send(events.PROGRESS, fields)
            except OSError:  # a full disk ends no job; the next report tells it
                self._waiting = fields

    def _flush_later(self) -> None:
        sleep(max(0.0, self._sent_at + INTERVAL - monotonic()))
        with self._lock:
            self._flushing = False
            self._flush()


def _in_child(folder: str, bell: str, attempt: int, artifact_cap: int | None) -> Reporter:
    """The reporter in a process that the job started with it."""
    reporter = Reporter(RunFolder(folder), bell, attempt, artifact_cap)
    reporter.become_child()
    return reporter
