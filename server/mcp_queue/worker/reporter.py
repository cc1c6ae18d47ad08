"""The worker's voice: events for the supervisor, throttled, and the ear for its stop.

It works in children of the job too, forked or spawned, which report for themselves.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # threading costs 3 ms of a worker's start
from time import monotonic

from mcp_queue.commands.job import Sink
from mcp_queue.jobs import bell, events, spare
from mcp_queue.jobs.run_folder import RunFolder
from mcp_queue.system import crash
from mcp_queue.worker import kept_files
from mcp_queue.worker.kept_files import KeptFile, Room, despite_limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_queue.commands.asking import Asking
    from mcp_queue.commands.contents import Source
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
        self.kept: set[str] = set()  # names of artifacts
        self.files: dict[str, str] = {}  # of those that have one
        self.replaced: set[str] = set()  # files of artifacts that the supervisor removes
        self.artifact_cap = artifact_cap  # bytes of all files of artifacts together
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
        self.is_child = False
        self._control_size = 0  # bytes of control.jsonl that were looked at
        self.stop_asked = False

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
        return _in_child, (self.run.path, self._bell, self._attempt, self.artifact_cap)

    def send(self, kind: str, fields: dict[str, object]) -> None:
        """Append one event and ring."""
        if self._events is None:
            self._events = KeptFile(self.run.events, APPEND)
        events.append_to(self._events.descriptor, events.line_of(kind, fields))
        bell.ring(self._bell)

    def say(self, kind: str, fields: dict[str, object]) -> None:
        """Append one event, what was reported before it ahead of it."""
        with self._lock:
            if not self._ended:
                self._flush()
                self.send(kind, fields)

    def asking(self) -> Asking:
        """Who asks the person (`commands.asking.Asking`)."""
        from mcp_queue.worker.questions import Elsewhere, Questions

        if self.is_child:
            return Elsewhere()
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
        """Whether a stop was asked: by the signal, or by the control file, for who took the
        signal's handler away and for children, which get none."""
        if not self.stop_asked:
            try:
                size = os.stat(self.run.control).st_size
            except OSError:  # nothing was told yet, or the job sees other files
                return False
            if size != self._control_size:
                lines, _ = events.read(self.run.control, 0)
                self._control_size = size
                self.stop_asked = any(line.get("e") == events.STOP for line in lines)
        return self.stop_asked

    def artifact(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Keep a file; see `commands.job.Job.artifact`."""
        from mcp_queue.worker.keep import keep

        keep(self, name, source, about)

    def tell_artifact(self, name: str, fields: dict[str, object]) -> None:
        """Say that a file is kept, unless the job has ended."""
        self.kept.add(name)
        before = self.files.pop(name, None)
        if "file" in fields:
            self.files[name] = str(fields["file"])
        self.say(events.ARTIFACT, {"name": name, **fields})
        if before is not None:
            self.replaced.add(before)

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
        from time import sleep

        sleep(max(0.0, self._sent_at + INTERVAL - monotonic()))
        with self._lock:
            self._flushing = False
            self._flush()


def _in_child(folder: str, bell: str, attempt: int, artifact_cap: int | None) -> Reporter:
    """The reporter in a process that the job started with it."""
    reporter = Reporter(RunFolder(folder), bell, attempt, artifact_cap)
    reporter.become_child()
    return reporter
