"""Questions of a job on their way up, answers on their way down. Imported by the first ask.

A thread waits at the run's bell, which the supervisor rings when it has written an answer (or a
stop) into ``control.jsonl``; it wakes who waits for that answer.
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


SETTLED = 10.0  # seconds at most for the supervisor to say what became of a withdrawn question


class Questions:
    """All that a run asks (`commands.asking.QuestionChannel`); safe to use from several threads."""

    def __init__(
        self,
        run: RunFolder,
        attempt: int,
        say: Callable[[str, dict[str, object]], None],
        stop: StopRequest,
    ) -> None:
        """``say`` sends an event to the supervisor."""
        self._run = run
        self._attempt = attempt
        self._say = say
        self._stop = stop
        self._bell = bell.Bell(run.bell)
        self._offset = 0  # bytes of control.jsonl that are read
        self._lock = threading.Lock()
        self._asked = 0
        self._open: set[_Open] = set()
        threading.Thread(target=self._listen, name="answers", daemon=True).start()

    def ring(self) -> None:
        """Let the thread look; may be called in a signal handler."""
        bell.ring(self._run.bell)

    def ask(self, questions: Sequence[JobQuestion], timeout: float | None) -> dict[str, Answer]:
        """Wait for the answers in this thread."""
        done = threading.Event()
        asked = self._ask(questions, done.set)
        try:
            if not done.wait(timeout) and self._withdraw(asked):
                done.wait(SETTLED)
        finally:
            self._close(asked)
        return self._answers(asked, timeout)

    async def ask_async(
        self, questions: Sequence[JobQuestion], timeout: float | None
    ) -> dict[str, Answer]:
        """Wait for the answers while the loop goes on."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        asked = self._ask(questions, lambda: loop.call_soon_threadsafe(done.set))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await done.wait()
            if not done.is_set() and self._withdraw(asked):
                with suppress(TimeoutError):
                    async with asyncio.timeout(SETTLED):
                        await done.wait()
        finally:
            self._close(asked)
        return self._answers(asked, timeout)

    def _ask(self, questions: Sequence[JobQuestion], wake: Callable[[], object]) -> _Open:
        with self._lock:
            if self._stop.look():
                raise JobStoppedError
            self._asked += 1
            prefix = f"a{self._attempt}.q{self._asked}."
            asked = _Open({prefix + each.key: each.key for each in questions}, wake)
            self._open.add(asked)
        lines = [{**asdict(each), "key": prefix + each.key} for each in questions]
        try:
            self._say(events.ASK, {"questions": lines})
        except BaseException:
            with self._lock:
                self._open.discard(asked)
            raise
        return asked

    def _close(self, asked: _Open) -> None:
        """Nobody waits any more; what is not answered is withdrawn."""
        with self._lock:
            self._open.discard(asked)
        self._withdraw(asked)

    def _withdraw(self, asked: _Open) -> bool:
        """Say, once, that nobody waits for what is missing; False when there is nothing to say.

        What becomes of it the supervisor says: an answer may have come first.
        """
        with self._lock:
            left = [] if asked.withdrawn else list(asked.missing)
            asked.withdrawn = True
        if not left:
            return False
        try:
            self._say(events.WITHDRAW, {"keys": left})
        except OSError:  # a full disk; the end of the job withdraws all
            return False
        return True

    def _answers(self, asked: _Open, timeout: float | None) -> dict[str, Answer]:
        if not asked.missing:
            return asked.answers
        if self._stop.look():
            raise JobStoppedError
        keys = ", ".join(map(repr, asked.missing.values()))
        error = AskTimeoutError(timeout=timeout or 0.0, keys=keys)
        error.answers = asked.answers
        raise error

    def _listen(self) -> None:
        while True:
            select.select([self._bell], [], [])
            self._bell.hush()
            lines, self._offset = events.read(self._run.control, self._offset)
            with self._lock:
                for line in lines:
                    self._take(line)
                for asked in self._open:
                    if asked.settled or self._stop.made:
                        with suppress(RuntimeError):  # its event loop is closed
                            asked.wake()

    def _take(self, line: dict[str, Any]) -> None:
        """One line of ``control.jsonl``; an answer that nobody waits for is passed over."""
        if line.get("e") == events.STOP:
            self._stop.made = True
        elif line.get("e") == events.ANSWER:
            for asked in self._open:
                asked.take(line)
        elif line.get("e") == events.WITHDRAWN:
            for asked in self._open:
                asked.gone.update(line["keys"])


class Elsewhere:
    """Cannot ask (`commands.asking.QuestionChannel`): only the job's own process gets answers."""

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


class _Open:
    """The questions of one call."""

    def __init__(self, missing: dict[str, str], wake: Callable[[], object]) -> None:
        self.missing = missing  # keys as they travel: keys of the command
        self.answers: dict[str, Answer] = {}
        self.withdrawn = False
        self.gone: set[str] = set()  # keys that nobody can answer any more
        self.wake = wake

    @property
    def settled(self) -> bool:
        """Nothing more can come."""
        return self.gone.issuperset(self.missing)

    def take(self, line: dict[str, Any]) -> None:
        key = self.missing.pop(line["key"], None)
        if key is not None:
            self.answers[key] = Answer(line["action"], line["content"])
