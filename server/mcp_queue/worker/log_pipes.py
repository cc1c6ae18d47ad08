"""Pipes between a run and its log files, once others than the worker may write."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

from mcp_queue.system import log_readers, marks, tree
from mcp_queue.worker.log_files import identity, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

BOUND = 3.0  # seconds that the end of a job waits for its output at most
PAUSE = 0.05  # seconds for a reader of which nothing can be learned
STEP = 0.002  # seconds between two looks at most; they begin without a pause

UNSEEN = "unseen"  # of a process: it is there, its state is not to be seen

Log = tuple[int, int]  # the device and number of a file


@dataclass(frozen=True)
class _Pipe:
    """A pipe, held open for when the job puts the log file back in its place."""

    end: int
    which: Log | None
    reader: int


class LogPipes:
    """The pipes of the worker, at most one for each log."""

    def __init__(self, run_id: str, logs: dict[Log, str]) -> None:
        self._mark = (marks.MARK, run_id)
        self._logs = logs
        self._pipes: dict[Log, _Pipe] = {}

    def put_in_place(self) -> None:
        """Let descriptors 1 and 2 lead to pipes where they lead to logs. Raises `OSError` and
        `log_readers.NoReaderError`."""
        leads = {descriptor: identity(descriptor) for descriptor in (1, 2)}
        leads = {descriptor: log for descriptor, log in leads.items() if log in self._logs}
        new = {log: descriptor for descriptor, log in leads.items() if self._end(log) is None}
        if new:
            self._open(new)
        for descriptor, log in leads.items():
            end = self._end(log)
            if end is not None:
                os.dup2(end, descriptor)

    def _open(self, new: dict[Log, int]) -> None:
        """Make a pipe for each of the logs; which descriptor leads there now is given."""
        ends: list[tuple[int, int]] = []
        made = False
        try:
            ends.extend(log_readers.pipe() for _ in new)
            ways = [(end[0], log) for end, log in zip(ends, new.values(), strict=True)]
            with _unseen():
                readers = log_readers.start(ways, self._mark)
            for log, (_, end), reader in zip(new, ends, readers, strict=True):
                self._pipes[log] = _Pipe(end, identity(end), reader)
            made = True
        finally:
            for read_end, write_end in ends:
                os.close(read_end)
                if not made:
                    os.close(write_end)

    def _end(self, log: Log) -> int | None:
        """A descriptor of the pipe to a log; None without one. A job may close any."""
        pipe = self._pipes.get(log)
        if pipe is None:
            return None
        return next((end for end in (pipe.end, 1, 2) if identity(end) == pipe.which), None)

    def drain(self) -> None:
        """Wait until what stands in the pipes now is in the logs, `BOUND` at most."""
        deadline = monotonic() + BOUND
        for log, pipe in self._pipes.items():
            end, log_path = self._end(log), self._logs[log]
            if end is None:
                continue
            if sys.platform != "linux":
                sleep(PAUSE)
            elif not _drained(end, pipe.reader, log_path, deadline):
                _say(log_path, "what was printed last may be missing here")


def _drained(end: int, reader: int, log: str, deadline: float) -> bool:
    """Wait for one pipe. A reader that waits for more has stored all that it had read; one that
    somebody keeps busy has, too, once the log has grown by all that it could be behind."""
    if sys.platform != "linux":
        return True
    import fcntl

    behind = _waiting(end) + fcntl.fcntl(end, fcntl.F_GETPIPE_SZ)
    size = _size(log)  # after it: what goes over in between counts twice then, not never
    pause = 0.0
    while True:
        empty = _waiting(end) == 0
        state = _state(reader)
        if empty and state in ("S", UNSEEN):
            sleep(PAUSE if state == UNSEEN else 0)
            return True
        if state is None or monotonic() > deadline:
            return False
        if _size(log) >= size + behind:
            return True
        sleep(pause)
        pause = min(pause + STEP / 8, STEP)


def _waiting(end: int) -> int:
    """Bytes in a pipe that nobody has read."""
    if sys.platform == "win32":
        return 0
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(end, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def _state(pid: int) -> str | None:
    """``S`` for a process that waits; None for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0].decode()
        return None if state in "ZX" else state
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return UNSEEN


def _size(log: str) -> int:
    try:
        return os.stat(log).st_size
    except OSError:  # out of sight, as behind another root folder
        return 0


def _say(log: str, line: str) -> None:
    """The same as `say`, past a pipe that nobody may read."""
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return
    say(descriptor, line)
    os.close(descriptor)


@contextmanager
def _unseen() -> Generator[None]:
    """Let a child come and go that the job does not learn of, and its children fall to others."""
    subreaper = tree.is_subreaper()
    if subreaper:
        tree.become_subreaper(False)
    try:
        with _without_sigchld():
            yield
    finally:
        if subreaper:
            tree.become_subreaper(True)


@contextmanager
def _without_sigchld() -> Generator[None]:
    """Keep the news of this child's end from a handler of the job's."""
    if sys.platform != "linux" or not callable(signal.getsignal(signal.SIGCHLD)):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        yield
        if signal.SIGCHLD not in before:
            signal.sigtimedwait({signal.SIGCHLD}, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
