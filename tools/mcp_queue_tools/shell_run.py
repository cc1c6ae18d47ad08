"""The work of `run_shell`: run a shell, copy its output to the job's logs, end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO

from mcp_queue import Job
from mcp_queue_tools.errors import ShellTimeoutError, WrongValueError

SHOWN = 8 * 1024  # bytes of each stream's end that the result shows
INTERVAL = 0.1  # seconds between two checks whether a stop was requested
GRACE = 1.0  # seconds between SIGTERM and SIGKILL; shorter than the time that a job has
DRAIN = 1.0  # seconds to read the rest of the pipes, which a daemon may keep open


def run(command: str, cwd: str | None, timeout: float | None, job: Job) -> dict[str, object]:
    """The exit code or the signal of the shell, and the end of both its streams.

    Raises WrongValueError for wrong arguments, and ShellTimeoutError.
    """
    if timeout is not None and not 0 < timeout < float("inf"):
        raise WrongValueError(name="timeout", value=timeout, reason="it is a number of seconds")
    if cwd is not None and not os.path.isdir(cwd):
        raise WrongValueError(name="cwd", value=cwd, reason="it is no folder here")
    job.set_description(command)
    process = subprocess.Popen(
        command,
        shell=True,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=sys.platform != "win32",
    )
    stdout, stderr = _StreamCopy(process.stdout, 1), _StreamCopy(process.stderr, 2)
    timed_out = _wait(process, timeout, job)
    for copy in (stdout, stderr):
        copy.thread.join(DRAIN)
    if timed_out:
        raise ShellTimeoutError(timeout=timeout, shown=stderr.text[-500:] or stdout.text[-500:])
    code = process.returncode
    result: dict[str, object] = {"exit_code": code}
    if code < 0:
        result = {"exit_code": None, "signal": signal.Signals(-code).name}
    return {**result, "stdout": stdout.text, "stderr": stderr.text}


def _wait(process: subprocess.Popen[bytes], timeout: float | None, job: Job) -> bool:
    """Wait for the end of the process; end it after the timeout or a stop. Whether it timed out."""
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    while True:
        try:
            process.wait(min(INTERVAL, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            late = time.monotonic() >= deadline
            if late or job.stopping:
                _stop(process)
                return late
        else:
            return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.terminate()
        process.wait()
        return
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


class _StreamCopy:
    """Copies a stream to the job's log, and stores the end of the stream."""

    def __init__(self, pipe: IO[bytes] | None, log: int) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._log = log
        self._end = b""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def text(self) -> str:
        """The last `SHOWN` bytes as text."""
        return self._end.decode("utf-8", "replace")

    def _run(self) -> None:
        while block := os.read(self._pipe.fileno(), 1 << 16):
            self._end = (self._end + block)[-SHOWN:]
            try:
                with open(self._log, "wb", buffering=0, closefd=False) as log:
                    log.write(block)
            except OSError:
                pass  # a full disk does not end the command
