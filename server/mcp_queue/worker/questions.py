"""Send the questions of a job, and wait for the answers. Imported at the first question.

A thread waits for the run's bell. The supervisor rings it after writing an answer (or a stop) to
``control.jsonl``; the thread then wakes the call that waits for the answer.
"""

from __future__ import annotations

import asyncio
import select
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from mcp_queue.answers import Answer
from mcp_queue.commands.asking import nobody_to_ask
from mcp_queue.errors import AskTimeoutError, JobStoppedError
from mcp_queue.jobs import bell, events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.questions import JobQuestion
    from mcp_queue.worker.stop_request import StopRequest


WITHDRAWAL_TIMEOUT = 10.0  # seconds for the supervisor to confirm a withdrawal, at most


class Questions:
    """The questions of a run (`commands.asking.QuestionChannel`). Several threads may use it."""

    def __init__(
        self,
        run: RunFolder,
        attempt: int,
        report: Callable[[str, dict[str, object]], None],
        stop: StopRequest,
    ) -> None:
        """``report`` sends an event to the supervisor."""
        self._run = run
        self._attempt = attempt
        self._report = report
        self._stop = stop
        self._bell = bell.Bell(run.bell)
        self._offset = 0  # bytes of control.jsonl that are read
        self._lock = threading.Lock()
        self._asked = 0
        self._open: set[_Asked] = set()
        threading.Thread(target=self._read_answers, name="answers", daemon=True).start()

    def ring(self) -> None:
        """Wake the thread. May be called in a signal handler."""
        bell.ring(self._run.bell)

    def ask(self, questions: Sequence[JobQuestion], timeout: float | None) -> dict[str, Answer]:
        """Wait for the answers in this thread."""
        done = threading.Event()
        asked = self._ask(questions, done.set)
        try:
            if not done.wait(timeout) and self._withdraw(asked):
                done.wait(WITHDRAWAL_TIMEOUT)
        finally:
            self._close(asked)
        return self._answers(asked, timeout)

    async def ask_async(
        self, questions: Sequence[JobQuestion], timeout: float | None
    ) -> dict[str, Answer]:
        """Wait for the answers in the event loop."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        asked = self._ask(questions, lambda: loop.call_soon_threadsafe(done.set))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await done.wait()
            if not done.is_set() and self._withdraw(asked):
                with suppress(TimeoutError):
                    async with asyncio.timeout(WITHDRAWAL_TIMEOUT):
                        await done.wait()
        finally:
            self._close(asked)
        return self._answers(asked, timeout)

    def _ask(self, questions: Sequence[JobQuestion], wake: Callable[[], object]) -> _Asked:
        with self._lock:
            if self._stop.check():
                raise JobStoppedError
            self._asked += 1
            prefix = f"a{self._attempt}.q{self._asked}."
            asked = _Asked({prefix + each.key: each.key for each in questions}, wake)
            self._open.add(asked)
        lines = [{**asdict(each), "key": prefix + each.key} for each in questions]
        try:
            self._report(events.ASK, {"questions": lines})
        except BaseException:
            with self._lock:
                self._open.discard(asked)
            raise
        return asked

    def _close(self, asked: _Asked) -> None:
        """End a call of `ask`: withdraw the questions without an answer."""
        with self._lock:
            self._open.discard(asked)
        self._withdraw(asked)

    def _withdraw(self, asked: _Asked) -> bool:
        """Withdraw the unanswered questions, once; False if there are none.

        The supervisor confirms the withdrawal, as an answer may have come first.
        """
        with self._lock:
            left = [] if asked.withdrawn else list(asked.missing)
            asked.withdrawn = True
        if not left:
            return False
        try:
            self._report(events.WITHDRAW, {"keys": left})
        except OSError:  # a full disk; the end of the job withdraws all questions
            return False
        return True

    def _answers(self, asked: _Asked, timeout: float | None) -> dict[str, Answer]:
        if not asked.missing:
            return asked.answers
        if self._stop.check():
            raise JobStoppedError
        keys = ", ".join(map(repr, asked.missing.values()))
        error = AskTimeoutError(timeout=timeout or 0.0, keys=keys)
        error.answers = asked.answers
        raise error

    def _read_answers(self) -> None:
        while True:
            select.select([self._bell], [], [])
            self._bell.hush()
            lines, self._offset = events.read(self._run.control, self._offset)
            with self._lock:
                for line in lines:
                    self._handle(line)
                for asked in self._open:
                    if asked.settled or self._stop.made:
                        with suppress(RuntimeError):  # its event loop is closed
                            asked.wake()

    def _handle(self, line: dict[str, Any]) -> None:
        """Handle a line of ``control.jsonl``. An answer that no call waits for is ignored."""
        if line.get("e") == events.STOP:
            self._stop.made = True
        elif line.get("e") == events.ANSWER:
            for asked in self._open:
                asked.add_answer(line)
        elif line.get("e") == events.WITHDRAWN:
            for asked in self._open:
                asked.closed.update(line["keys"])


class ChildQuestions:
    """Refuses to ask in a child process (`commands.asking.QuestionChannel`).

    Answers reach only the job's own process.
    """

    def ask(self, questions: Sequence[JobQuestion], timeout: float | None) -> dict[str, Answer]:
        raise nobody_to_ask(
            questions,
            "it is asked in a child process of the job",
            "Ask in the job's own process, and hand the answer on to the child.",
        )

    async def ask_async(
        self, questions: Sequence[JobQuestion], timeout: float | None
    ) -> dict[str, Answer]:
        return self.ask(questions, timeout)


class _Asked:
    """The questions of one call."""

    def __init__(self, missing: dict[str, str], wake: Callable[[], object]) -> None:
        self.missing = missing  # keys in events: keys of the command
        self.answers: dict[str, Answer] = {}
        self.withdrawn = False
        self.closed: set[str] = set()  # keys that can no longer be answered
        self.wake = wake

    @property
    def settled(self) -> bool:
        """Whether no more answers can come."""
        return self.closed.issuperset(self.missing)

    def add_answer(self, line: dict[str, Any]) -> None:
        key = self.missing.pop(line["key"], None)
        if key is not None:
            self.answers[key] = Answer(line["action"], line["content"])
