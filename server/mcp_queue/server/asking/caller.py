"""``job.ask`` of a plain command: the caller of the request is asked, while it is open.

In 2026-07-28 a request cannot ask while it is open. It ends with what it needs, and the client
calls again: the command runs anew, and what was answered before is answered at once. So such a
command had better ask before it does anything.
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
        leaves: Mapping[str, Any] | None = None,
    ) -> None:
        self._person = Person(context)
        self._loop = loop
        self._leaves = leaves or {}
        self._asked = 0
        before: dict[str, Any] = request_state.opened(context).get("answers") or {}
        self._known: Answers = {key: Answer(*answer) for key, answer in before.items()}
        self._waiting: set[Future[Answers]] = set()

    def stop(self) -> None:
        """The request is over: whoever waits in a thread learns it."""
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
        answers = self._replayed(questions)
        if answers is not None:
            return answers
        future = asyncio.run_coroutine_threadsafe(self._shown(questions, timeout), self._loop)
        self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise JobStoppedError from None
        finally:
            self._waiting.discard(future)

    async def ask_async(self, questions: Sequence[JobQuestion], timeout: float | None) -> Answers:
        """For a command in the event loop."""
        answers = self._replayed(questions)
        return await self._shown(questions, timeout) if answers is None else answers

    def _replayed(self, questions: Sequence[JobQuestion]) -> Answers | None:
        """The answers, if this request or those before it brought all of them.

        None in the eras that ask while the request is open; in the others it raises InputNeeded
        for what is missing.
        """
        self._asked += 1
        prefix = "" if self._asked == 1 else f"q{self._asked}."
        named = [replace(each, key=prefix + each.key) for each in questions]
        self._known |= self._person.fitting([each for each in named if each.key not in self._known])
        missing = [each for each in named if each.key not in self._known]
        if missing:
            known = {key: (each.action, each.content) for key, each in self._known.items()}
            self._person.leave_for(missing, {**self._leaves, "answers": known})
            return None
        return {each.key: self._known[prefix + each.key] for each in questions}

    async def _shown(self, asked: Sequence[JobQuestion], timeout: float | None) -> Answers:
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
