"""Write the events of a job for the supervisor, and receive its stop request.

Forked and spawned children of the job have a reporter of their own.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # threading costs 3 ms of a worker's start
from time import monotonic, sleep

from mcp_queue.commands.job import Sink
from mcp_queue.jobs import bell, events, spare
from mcp_queue.jobs.run_folder import RunFolder
from mcp_queue.system import crash
from mcp_queue.worker import protected_files
from mcp_queue.worker.protected_files import ProtectedFile, ReservedDescriptors, without_limits
from mcp_queue.worker.stop_request import StopRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_queue.commands.asking import QuestionChannel
    from mcp_queue.commands.contents import Source
    from mcp_queue.worker.artifacts import Artifacts
    from mcp_queue.worker.questions import Questions

INTERVAL = 0.02  # seconds between two progress events; the last one is never dropped


APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
BURST = 50  # progress events that a child may send at once, as it may end without a last flush


class Reporter(Sink):
    """Carries out the calls of a `Job`. Safe to use from several threads."""

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
        self._events: ProtectedFile | None = None
        self._result: ProtectedFile | None = None
        self._reserved: ReservedDescriptors | None = None
        self._unstored = b""  # the result, if only the reserved space of `spare` has room for it
        self._lock = allocate_lock()
        self._pending: dict[str, object] = {}
        self._sent_at = float("-inf")
        self._flushing = False
        self._ended = False
        self._burst = 0.0
        self._questions: Questions | None = None
        self._artifacts: Artifacts | None = None
        self.is_child = False
        self._stop = StopRequest(run.control)

    def open(self, events_file: int | None) -> None:
        """Open the files that the end of the job needs, before user code runs.

        ``events_file``: the descriptor of ``events.jsonl`` if it is open already.
        """
        self._events = ProtectedFile(self.run.events, APPEND, protected_files.EVENTS, events_file)
        self._result = ProtectedFile(
            self.run.result, os.O_RDWR | os.O_CREAT, protected_files.RESULT
        )
        os.ftruncate(self._result.descriptor, spare.SIZE)
        self._reserved = ReservedDescriptors()

    def release_descriptors(self) -> None:
        """Release the reserved descriptors, after user code has ended."""
        if self._reserved is not None:
            self._reserved.release()

    def become_child(self) -> None:
        """Reset the state in a fork of the job, where its threads do not run."""
        self._lock = allocate_lock()
        self._pending, self._flushing = {}, False
        self._burst, self.is_child = BURST, True

    def __reduce__(self) -> tuple[object, ...]:
        return _in_child, (self.run.path, self._bell, self._attempt, self._artifact_cap)

    def send(self, kind: str, fields: dict[str, object]) -> None:
        """Append an event and ring the supervisor."""
        if self._events is None:
            self._events = ProtectedFile(self.run.events, APPEND)
        events.append_to(self._events.descriptor, events.line_of(kind, fields))
        bell.ring(self._bell, self.run.run_id)

    def report(self, kind: str, fields: dict[str, object]) -> None:
        """Append an event, after the pending progress."""
        with self._lock:
            if not self._ended:
                self._flush()
                self.send(kind, fields)

    def question_channel(self) -> QuestionChannel:
        """The object that asks the person (`commands.asking.QuestionChannel`)."""
        from mcp_queue.worker.questions import ChildQuestions, Questions

        if self.is_child:
            return ChildQuestions()
        with self._lock:
            if self._questions is None:
                self._questions = Questions(self.run, self._attempt, self.report, self._stop)
            return self._questions

    def stop(self) -> None:
        """Record a stop request and wake waiting calls. Signal handlers may call it."""
        self._stop.made = True
        if self._questions is not None:
            self._questions.ring()

    def progress(self, percent: float | None, description: str | None) -> None:
        """Report the progress. Reports within `INTERVAL` are merged; the last one wins."""
        with self._lock:
            if percent is not None:
                self._pending["progress"] = percent
            if description is not None:
                self._pending["description"] = description
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
        except RuntimeError:  # no thread can be started
            self._flush_later()

    def log(self, line: str) -> None:
        """Write a line to ``stderr.log``. Never raises."""
        text = line if line.endswith("\n") else line + "\n"
        try:
            events.write_all(2, text.encode("utf-8", "backslashreplace"))
        except OSError:
            pass

    def stopping(self) -> bool:
        """Whether a stop was requested, by the signal or in the control file."""
        return self._stop.check()

    @property
    def stop_asked(self) -> bool:
        """The same without reading the file."""
        return self._stop.made

    def artifact(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Store a file; see `commands.job.Job.artifact`."""
        self.artifacts().store(name, source, about)

    def artifacts(self) -> Artifacts:
        """The stored files of the job."""
        from mcp_queue.worker.artifacts import Artifacts

        with self._lock:
            if self._artifacts is None:
                self._artifacts = Artifacts(self.run, self._artifact_cap, self.report)
            return self._artifacts

    def store_result(self, text: str) -> None:
        """Write a large result to ``result.json``; it is on disk before the outcome is written."""
        data = text.encode()
        result = self._result or ProtectedFile(self.run.result, os.O_RDWR | os.O_CREAT)
        self._result = result

        def write() -> None:
            os.lseek(result.descriptor, 0, os.SEEK_SET)
            events.write_all(result.descriptor, data)
            os.ftruncate(result.descriptor, len(data))

        try:
            without_limits(write)
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
        """Write the last progress, then the outcome. Later events are dropped."""
        with self._lock:
            self._flush()
            self._ended = True
            self._write_outcome(outcome)
        crash.point("outcome.after_line")

    def _write_outcome(self, outcome: dict[str, object]) -> None:
        try:
            if self._unstored:
                raise OSError
            without_limits(lambda: self.send(events.OUTCOME, outcome))
        except OSError:
            line = events.line_of(events.OUTCOME, outcome)
            if self._result is None or not spare.fits(line, self._unstored):
                raise
            spare.write(self._result.descriptor, line, self._unstored)
            return
        if self._result is not None:  # the file is empty
            self._result.close()
            try:
                os.unlink(self.run.result)
            except OSError:
                pass

    def _may_send(self) -> bool:
        """Whether a progress event may be sent at once; a child may also send bursts."""
        passed = monotonic() - self._sent_at
        if not self.is_child:
            return passed >= INTERVAL
        self._burst = min(self._burst + passed / INTERVAL, BURST) - 1.0
        if self._burst >= 0:
            return True
        self._burst += 1.0
        return False

    def _flush(self) -> None:
        if self._pending and not self._ended:
            fields, self._pending = self._pending, {}
            self._sent_at = monotonic()
            try:
                self.send(events.PROGRESS, fields)
            except OSError:  # a full disk ends no job; the next report includes it
                self._pending = fields

    def _flush_later(self) -> None:
        sleep(max(0.0, self._sent_at + INTERVAL - monotonic()))
        with self._lock:
            self._flushing = False
            self._flush()


def _in_child(folder: str, bell: str, attempt: int, artifact_cap: int | None) -> Reporter:
    """The reporter in a child process that the job passed it to."""
    reporter = Reporter(RunFolder(folder), bell, attempt, artifact_cap)
    reporter.become_child()
    return reporter
