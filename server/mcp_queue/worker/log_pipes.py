"""Pipes between a run and its log files, for when other processes than the worker write."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

from mcp_queue.system import log_readers, marks, tree
from mcp_queue.worker.log_files import identity, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

BOUND = 3.0  # seconds that the end of a job waits for its output, at most
PAUSE = 0.05  # seconds to wait for a reader whose state cannot be read
STEP = 0.002  # seconds between two checks, at most; the first ones have no pause

UNSEEN = "unseen"  # the state of a process that exists but cannot be read

Log = tuple[int, int]  # the device and number of a file


@dataclass(frozen=True)
class _Pipe:
    """A pipe. It stays open, as the job may point a descriptor to the log file again."""

    end: int
    which: Log | None
    reader: int


class LogPipes:
    """The pipes of a worker, at most one for each log."""

    def __init__(self, run_id: str, logs: dict[Log, str]) -> None:
        self._mark = (marks.MARK, run_id)
        self._logs = logs
        self._pipes: dict[Log, _Pipe] = {}

    def install(self) -> None:
        """Point descriptors 1 and 2 to pipes if they point to logs.

        Raises `OSError` and `log_readers.NoReaderError`.
        """
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
        """Make a pipe for each log. ``new``: the descriptors that point to the logs."""
        ends: list[tuple[int, int]] = []
        made = False
        try:
            ends.extend(log_readers.pipe() for _ in new)
            ways = [(end[0], log) for end, log in zip(ends, new.values(), strict=True)]
            with _hidden_child():
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
        """An open descriptor of the pipe to a log; None without one. A job may close any."""
        pipe = self._pipes.get(log)
        if pipe is None:
            return None
        return next((end for end in (pipe.end, 1, 2) if identity(end) == pipe.which), None)

    def drain(self) -> None:
        """Wait until the bytes in the pipes are in the logs, at most `BOUND` seconds."""
        deadline = monotonic() + BOUND
        for log, pipe in self._pipes.items():
            end, log_path = self._end(log), self._logs[log]
            if end is None:
                continue
            if sys.platform != "linux":
                sleep(PAUSE)
            elif not _drained(end, pipe.reader, log_path, deadline):
                _write_line(log_path, "what was printed last may be missing here")


def _drained(end: int, reader: int, log: str, deadline: float) -> bool:
    """Wait for one pipe; False if its bytes may not be in the log.

    A reader that waits for input has stored all bytes that it read. If a process keeps writing, the
    bytes are stored once the log has grown by the most that could be missing.
    """
    if sys.platform != "linux":
        return True
    import fcntl

    behind = _unread(end) + fcntl.fcntl(end, fcntl.F_GETPIPE_SZ)
    size = _size(log)  # read last: bytes that move meanwhile count twice rather than never
    pause = 0.0
    while True:
        empty = _unread(end) == 0
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


def _unread(end: int) -> int:
    """Unread bytes in a pipe."""
    if sys.platform == "win32":
        return 0
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(end, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def _state(pid: int) -> str | None:
    """The state of a process: ``S`` if it waits, None if it is gone."""
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
    except OSError:  # not visible, as under another root folder
        return 0


def _write_line(log: str, line: str) -> None:
    """Like `write_line`, but to the file: the pipe may have no reader."""
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return
    write_line(descriptor, line)
    os.close(descriptor)


@contextmanager
def _hidden_child() -> Generator[None]:
    """Hide a child from the job; the child's children are reparented to another process."""
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
    """Hide the end of this child from a signal handler of the job."""
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
