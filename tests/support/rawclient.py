"""A client of a stdio server that sees the wire as it is: lines of JSON over pipes.

It has no idea of the protocol beyond JSON-RPC, so that tests can send what no well-behaved client
would and see every line that comes back, with the moment of its arrival. Every wait has a guard;
a guard that is hit fails the test with what had arrived until then.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from support.guards import GUARD

_ATOMIC = 512  # bytes; a pipe that can be written to takes as many without blocking
_NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0

Message = dict[str, Any]
RequestId = int | str


@dataclass(frozen=True)
class Received:
    """One message of the server and the monotonic time at which its line was complete.

    The messages of one batch have the same time.
    """

    at: float
    message: Message

    @property
    def method(self) -> str | None:
        return self.message.get("method")

    @property
    def is_answer(self) -> bool:
        return "method" not in self.message


class RawClient:
    """Starts a server process and speaks with it; a context manager that ends the process.

    Leaving the context closes the server's stdin and waits for it to go, and fails if it had to be
    killed or if a line on its stdout was no JSON-RPC message.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        reading: bool = True,
    ) -> None:
        """Start ``command`` with ``env`` on top of this process's environment.

        ``reading=False`` leaves the server's stdout unread until ``start_reading``.
        """
        self.received: list[Received] = []
        self.violations: list[str] = []
        self.takes_batches = False  # whether a line may be an array of messages
        self._news = threading.Condition()
        self._closed = False
        self._next_id = 0
        self._stderr = bytearray()
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            creationflags=_NEW_GROUP,
        )
        self.started_at = time.monotonic()
        self._readers: list[threading.Thread] = []
        self._start_thread(self._read_stderr)
        if reading:
            self.start_reading()

    def start_reading(self) -> None:
        self._start_thread(self._read_stdout)

    def _start_thread(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"{target.__name__} {self.pid}", daemon=True)
        thread.start()
        self._readers.append(thread)

    # The process.

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What the server has written to its standard error so far."""
        with self._news:
            return self._stderr.decode(errors="replace")

    @staticmethod
    def now() -> float:
        """The present on the clock of ``Received.at``."""
        return time.monotonic()

    def close_stdin(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # the server left without reading everything
            _pipe(self._process.stdin).close()

    def interrupt(self) -> None:
        """Ask as Ctrl-C does: SIGINT, or Ctrl-Break where Windows has no SIGINT for one process."""
        if sys.platform == "win32":
            self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self._process.send_signal(signal.SIGINT)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float = GUARD) -> int:
        """The exit status, once the process has ended."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failure(f"server {self.pid} still runs after {timeout} s") from None

    def close(self) -> int:
        """End the process, by force if need be, and give its exit status."""
        self.close_stdin()
        try:
            self._process.wait(GUARD)
        except subprocess.TimeoutExpired:
            self.violations.append(f"server {self.pid} was still there {GUARD} s after its stdin")
            self._process.kill()
        status = self._process.wait()
        for reader in self._readers:
            reader.join(GUARD)
        if any(reader.is_alive() for reader in self._readers):
            self.violations.append("another process holds the server's stdout or stderr")
        else:
            _pipe(self._process.stdout).close()
            _pipe(self._process.stderr).close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is None and self.violations:
            raise self._failure("; ".join(self.violations))

    # Sending.

    def send(self, message: object) -> None:
        """Write ``message`` as one line of JSON."""
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def send_bytes(self, data: bytes) -> None:
        descriptor = _pipe(self._process.stdin).fileno()
        deadline = time.monotonic() + GUARD
        while data:
            _wait_writable(descriptor, deadline)
            data = data[os.write(descriptor, data[:_ATOMIC]) :]

    def post(self, method: str, params: Message | None = None) -> int:
        """Send a request and give its id, for ``answer``."""
        self._next_id += 1
        self.send({"jsonrpc": "2.0", "id": self._next_id, "method": method, **_params(params)})
        return self._next_id

    def notify(self, method: str, params: Message | None = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, **_params(params)})

    def request(
        self, method: str, params: Message | None = None, timeout: float = GUARD
    ) -> Message:
        """Send a request and wait for its answer, the whole message."""
        return self.answer(self.post(method, params), timeout).message

    # Receiving.

    @property
    def notifications(self) -> list[Message]:
        """The notifications that have arrived, in their order."""
        with self._news:
            return [
                received.message
                for received in self.received
                if received.method is not None and "id" not in received.message
            ]

    def answer(self, request_id: RequestId | None, timeout: float = GUARD) -> Received:
        """The answer to the request ``request_id``, once it is there."""
        return self.wait_for(
            lambda received: received.is_answer and received.message.get("id") == request_id,
            timeout,
            f"no answer to request {request_id!r}",
        )

    def wait_for(
        self,
        wanted: Callable[[Received], bool],
        timeout: float = GUARD,
        failure: str = "what the test waits for has not come",
    ) -> Received:
        """The first message, of those before and from now on, for which ``wanted`` holds."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._news:
            while True:
                for received in self.received[seen:]:
                    if wanted(received):
                        return received
                seen = len(self.received)
                if self._closed or not self._news.wait(deadline - time.monotonic()):
                    ended = "its stdout has ended" if self._closed else f"waited {timeout} s"
                    raise self._failure(f"{failure} ({ended})")

    # The threads that read.

    def _read_stdout(self) -> None:
        for line in _pipe(self._process.stdout):
            at = time.monotonic()
            found = [_parse(part) for part in (_parts(line) if self.takes_batches else [line])]
            with self._news:
                for message, violation in found:
                    if violation:
                        self.violations.append(violation)
                    if message is not None:
                        self.received.append(Received(at, message))
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _read_stderr(self) -> None:
        for line in _pipe(self._process.stderr):
            with self._news:
                self._stderr += line

    def _failure(self, reason: str) -> AssertionError:
        with self._news:
            messages = "\n".join(json.dumps(received.message) for received in self.received[-20:])
            stderr = self._stderr.decode(errors="replace")
        return AssertionError(f"{reason}\nlast messages:\n{messages}\nstderr:\n{stderr[-4000:]}")


def _parts(line: bytes) -> list[bytes]:
    """The messages of a line: one, or those of a batch."""
    if not line.startswith(b"[{"):
        return [line]
    try:
        values = json.loads(line)
    except ValueError:
        return [line]
    return [json.dumps(value).encode() + line[-1:] for value in values]


def _parse(line: bytes) -> tuple[Message | None, str | None]:
    """The message of a line, and what is wrong with it as JSON-RPC."""
    try:
        message = json.loads(line)
    except ValueError:
        return None, f"no JSON on stdout: {line[:200]!r}"
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return None, f"no JSON-RPC on stdout: {line[:200]!r}"
    if not line.endswith(b"\n"):
        return message, f"no end of line on stdout: {line[:200]!r}"
    if "method" not in message and not ("id" in message and _has_one_outcome(message)):
        return message, f"neither request, notification nor answer on stdout: {line[:200]!r}"
    return message, None


def _has_one_outcome(message: Message) -> bool:
    return ("result" in message) != ("error" in message)


def _wait_writable(descriptor: int, deadline: float) -> None:
    if sys.platform == "win32":  # pipes cannot be polled there
        return
    if not select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
        raise AssertionError(f"the server has not read its stdin for {GUARD} s")


def _params(params: Message | None) -> Message:
    return {} if params is None else {"params": params}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
