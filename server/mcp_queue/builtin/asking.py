"""What waited-for jobs ask, before the person at the client that waits."""

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


class Person(Protocol):
    """The person that forms of one request ask."""

    def follows(self, job_id: str) -> bool:
        """Whether the client gets the questions of this job by other requests."""
        ...

    def can_show(self, schema: Mapping[str, Any]) -> bool:
        """Whether a form with this schema can be shown."""
        ...

    def valid_answers(self, questions: Sequence[JobQuestion]) -> Mapping[str, Answer]:
        """The valid answers of this request, by key."""
        ...

    def require_answers(self, questions: Sequence[JobQuestion]) -> None:
        """End the request if its answers have to come with another one."""
        ...

    async def ask(self, question: JobQuestion) -> Answer:
        """A valid answer; raises UnansweredError. Cancelling it withdraws the form."""
        ...


class Forms:
    """Shows a form for each open question, and withdraws it when that is no longer open.

    One wait owns it, and leaves with it; ``give_up`` is called when a question of a form that is
    shown already turns out to have no answer here.
    """

    def __init__(self, queue: QueueManager, person: Person, give_up: Callable[[], object]) -> None:
        self._queue = queue
        self._person = person
        self._give_up = give_up
        self._shown: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Forms:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._shown.values():
            task.cancel()
        if self._shown:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(self._shown.values())

    async def take_given(self, records: Mapping[str, JobRecord]) -> bool:
        """Hand on the answers that came with the request; whether there were any."""
        questions = self._open(records)
        given = self._person.valid_answers(_named(questions))
        for name, answer in given.items():
            await self._answer(*questions[name], answer)
        return bool(given)

    def show(self, records: Mapping[str, JobRecord]) -> bool:
        """Bring the forms up to what the jobs ask now; False if a question has no form here."""
        questions = self._open(records)
        if questions:
            self._person.require_answers(_named(questions))
        for name in self._shown.keys() - questions.keys():
            self._shown[name].cancel()
        for name, (job_id, question) in questions.items():
            if not self._person.can_show(question.schema):
                return False
            if name not in self._shown:
                self._shown[name] = asyncio.create_task(self._ask(job_id, question))
        return True

    def _open(self, records: Mapping[str, JobRecord]) -> dict[str, tuple[str, JobQuestion]]:
        """The open questions that are to be asked here with their jobs, each under a name."""
        return {
            f"{job_id}/{question.key}": (job_id, question)
            for job_id, record in records.items()
            if not self._person.follows(job_id)
            for question in record.questions
        }

    async def _ask(self, job_id: str, question: JobQuestion) -> None:
        try:
            await self._answer(job_id, question, await self._person.ask(question))
            return
        except UnansweredError:
            pass
        except QueueError as error:
            log.warning("%s %s", error.message, error.hint)
        self._give_up()

    async def _answer(self, job_id: str, question: JobQuestion, answer: Answer) -> None:
        with suppress(QuestionNotOpenError, JobNotFoundError):  # another was quicker, or it ended
            await self._queue.answer_job(
                job_id, question.key, answer.action, answer.content, person=True
            )


def _named(questions: Mapping[str, tuple[str, JobQuestion]]) -> list[JobQuestion]:
    return [replace(question, key=name) for name, (_, question) in questions.items()]
