"""``job.ask`` of a plain command: ask the person at the client while the request is open.

In 2026-07-28 a request cannot ask while it is open. It ends with its questions, and the client
calls again with the answers. The command then runs again from its start, and gets earlier answers
at once. So such a command should ask before it changes anything.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_queue.answers import Answer
from mcp_queue.commands.asking import nobody_to_ask
from mcp_queue.errors import AskTimeoutError, JobStoppedError
from mcp_queue.questions import UnansweredError
from mcp_queue.server.asking import request_state
from mcp_queue.server.asking.person import Person

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp_queue.questions import JobQuestion
    from mcp_queue.server.protocol.eras import Context

Answers = dict[str, Answer]


class Caller:
    """Asks within one request (`commands.asking.QuestionChannel`), in any thread."""

    def __init__(
        self,
        context: Context,
        loop: asyncio.AbstractEventLoop,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._person = Person(context)
        self._loop = loop
        self._state = state or {}
        self._asked = 0
        before: dict[str, Any] = request_state.open_state(context).get("answers") or {}
        self._answers: Answers = {key: Answer(*answer) for key, answer in before.items()}
        self._waiting: set[Future[Answers]] = set()

    def stop(self) -> None:
        """End all waits in threads, as the request is over."""
        for future in tuple(self._waiting):
            future.cancel()

    def ask(self, questions: Sequence[JobQuestion], timeout: float | None) -> Answers:
        """For a command in a thread."""
        if asyncio._get_running_loop() is self._loop:
            raise nobody_to_ask(
                questions,
                "job.ask would block the server in an async def",
                "Its author has to write: await job.ask_async(…).",
            )
        answers = self._earlier_answers(questions)
        if answers is not None:
            return answers
        future = asyncio.run_coroutine_threadsafe(self._show_all(questions, timeout), self._loop)
        self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise JobStoppedError from None
        finally:
            self._waiting.discard(future)

    async def ask_async(self, questions: Sequence[JobQuestion], timeout: float | None) -> Answers:
        """For a command in the event loop."""
        answers = self._earlier_answers(questions)
        return await self._show_all(questions, timeout) if answers is None else answers

    def _earlier_answers(self, questions: Sequence[JobQuestion]) -> Answers | None:
        """The answers, if this request and earlier ones contain all of them.

        If some are missing: None in eras that ask while the request is open; in others it raises
        InputNeeded.
        """
        self._asked += 1
        prefix = "" if self._asked == 1 else f"q{self._asked}."
        named = [replace(each, key=prefix + each.key) for each in questions]
        self._answers |= self._person.valid_answers(
            [each for each in named if each.key not in self._answers]
        )
        missing = [each for each in named if each.key not in self._answers]
        if missing:
            known = {key: (each.action, each.content) for key, each in self._answers.items()}
            self._person.require_answers(missing, {**self._state, "answers": known})
            return None
        return {each.key: self._answers[prefix + each.key] for each in questions}

    async def _show_all(self, asked: Sequence[JobQuestion], timeout: float | None) -> Answers:
        answers: Answers = {}
        tasks = [asyncio.create_task(self._show(each, answers)) for each in asked]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=timeout, return_when=asyncio.FIRST_EXCEPTION
            )
        finally:
            for task in tasks:
                task.cancel()  # withdraws the form
        for task in done:
            task.result()
        if len(done) < len(tasks):
            left = ", ".join(repr(each.key) for each in asked if each.key not in answers)
            error = AskTimeoutError(timeout=timeout or 0.0, keys=left)
            error.answers = answers
            raise error
        return answers

    async def _show(self, question: JobQuestion, answers: Answers) -> None:
        try:
            answers[question.key] = await self._person.ask(question)
        except UnansweredError as error:
            raise nobody_to_ask([question], str(error)) from None
