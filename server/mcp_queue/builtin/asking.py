"""Forms for the questions of jobs, shown by the client that waits for these jobs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import anyio

from mcp_queue.errors import JobNotFoundError, QuestionNotOpenError, QueueError
from mcp_queue.questions import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from mcp_queue.answers import Answer
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.questions import JobQuestion


log = logging.getLogger(__name__)


class FormChannel(Protocol):
    """Shows forms to the person at the client, within one request."""

    def follows(self, job_id: str) -> bool:
        """Whether the client shows the questions of this job by itself, without this request."""
        ...

    def can_show(self, schema: Mapping[str, Any]) -> bool:
        """Whether the client can show a form with this schema."""
        ...

    def valid_answers(self, questions: Sequence[JobQuestion]) -> Mapping[str, Answer]:
        """The valid answers that came with this request, by key."""
        ...

    def require_answers(self, questions: Sequence[JobQuestion]) -> None:
        """End this request, if the client sends answers only with a new request."""
        ...

    async def ask(self, question: JobQuestion) -> Answer:
        """A valid answer. Raises UnansweredError. Cancellation withdraws the form."""
        ...


class Forms:
    """Shows a form for each open question, and withdraws it when the question is closed.

    One wait owns it and closes it at its end. ``give_up`` is called when a form that was shown
    brings no answer.
    """

    def __init__(
        self, queue: QueueManager, channel: FormChannel, give_up: Callable[[], object]
    ) -> None:
        self._queue = queue
        self._channel = channel
        self._give_up = give_up
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Forms:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(self._tasks.values())

    async def take_answers(self, records: Mapping[str, JobRecord]) -> bool:
        """Pass the answers of the request to the jobs. Returns whether there were any."""
        questions = self._open_questions(records)
        answers = self._channel.valid_answers(_with_names(questions))
        for name, answer in answers.items():
            await self._answer(*questions[name], answer)
        return bool(answers)

    def show(self, records: Mapping[str, JobRecord]) -> bool:
        """Make the forms match the open questions. False if one cannot be shown here."""
        questions = self._open_questions(records)
        if questions:
            self._channel.require_answers(_with_names(questions))
        for name in self._tasks.keys() - questions.keys():
            self._tasks[name].cancel()
        for name, (job_id, question) in questions.items():
            if not self._channel.can_show(question.schema):
                return False
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._ask(job_id, question))
        return True

    def _open_questions(
        self, records: Mapping[str, JobRecord]
    ) -> dict[str, tuple[str, JobQuestion]]:
        """The open questions to ask here, with their jobs, each under a unique name."""
        return {
            f"{job_id}/{question.key}": (job_id, question)
            for job_id, record in records.items()
            if not self._channel.follows(job_id)
            for question in record.questions
        }

    async def _ask(self, job_id: str, question: JobQuestion) -> None:
        try:
            await self._answer(job_id, question, await self._channel.ask(question))
            return
        except UnansweredError:
            pass
        except QueueError as error:
            log.warning("%s %s", error.message, error.hint)
        self._give_up()

    async def _answer(self, job_id: str, question: JobQuestion, answer: Answer) -> None:
        # Someone else may have answered first, and the job may be gone.
        with suppress(QuestionNotOpenError, JobNotFoundError):
            await self._queue.answer_job(
                job_id, question.key, answer.action, answer.content, person=True
            )


def _with_names(questions: Mapping[str, tuple[str, JobQuestion]]) -> list[JobQuestion]:
    return [replace(question, key=name) for name, (_, question) in questions.items()]
