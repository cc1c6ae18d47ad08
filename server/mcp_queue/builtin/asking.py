"""What waited-for jobs ask, before the person at the client that waits."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NoReturn, Protocol

import anyio

from mcp_queue import forms
from mcp_queue.errors import (
    InvalidAnswerError,
    JobNotFoundError,
    QuestionNotOpenError,
    QueueError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from mcp_queue.commands.asking import Given
    from mcp_queue.jobs.record import JobQuestion, JobRecord
    from mcp_queue.manager import QueueManager


log = logging.getLogger(__name__)


class Person(Protocol):
    """Who is asked by forms within one request."""

    @property
    def calls_again(self) -> bool:
        """Whether answers come with another request (`need`), or at once (`ask`)."""
        ...

    @property
    def given(self) -> Mapping[str, Given]:
        """The answers that came with this request, by the keys of `need`."""
        ...

    def follows(self, job_id: str) -> bool:
        """Whether the client shows what this job asks by itself, without this request."""
        ...

    def can_see(self, schema: Mapping[str, Any]) -> bool:
        """Whether a form with this schema can be shown."""
        ...

    async def ask(self, message: str, schema: Mapping[str, Any]) -> Given | None:
        """The answer; None if the form could not be shown. Cancelling it withdraws the form."""
        ...

    def need(self, questions: Mapping[str, tuple[str, Mapping[str, Any]]]) -> NoReturn:
        """Leave the request, which has to be made again with the answers."""
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
        self._wrong: dict[str, str] = {}

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
        if not self._person.calls_again:
            return False
        given, taken = self._person.given, False
        for name, job_id, question in self._open(records):
            if name in given:
                taken = True
                if wrong := await self._answer(job_id, question, given[name]):
                    self._wrong[name] = wrong
        return taken

    def show(self, records: Mapping[str, JobRecord]) -> bool:
        """Bring the forms up to what the jobs ask now; False if a question has no form here."""
        questions = {name: (job_id, question) for name, job_id, question in self._open(records)}
        if questions and self._person.calls_again:
            self._person.need(
                {
                    name: (_message(question, self._wrong.get(name)), question.schema)
                    for name, (_, question) in questions.items()
                }
            )
        for name in self._shown.keys() - questions.keys():
            self._shown[name].cancel()
        for name, (job_id, question) in questions.items():
            if not self._person.can_see(question.schema):
                return False
            if name not in self._shown:
                self._shown[name] = asyncio.create_task(self._ask(job_id, question))
        return True

    def _open(self, records: Mapping[str, JobRecord]) -> Iterator[tuple[str, str, JobQuestion]]:
        """The open questions that are to be asked here, each with a name of its own."""
        for job_id, record in records.items():
            if not self._person.follows(job_id):
                for question in record.questions:
                    yield f"{job_id}/{question.key}", job_id, question

    async def _ask(self, job_id: str, question: JobQuestion) -> None:
        wrong = None
        try:
            for _ in range(forms.TRIES):
                given = await self._person.ask(_message(question, wrong), question.schema)
                if given is None:
                    break
                wrong = await self._answer(job_id, question, given)
                if wrong is None:
                    return
        except QueueError as error:
            log.warning("%s %s", error.message, error.hint)
        self._give_up()

    async def _answer(self, job_id: str, question: JobQuestion, given: Given) -> str | None:
        """Answer a question; what is wrong with the answer, or None."""
        action, content = given
        content = forms.known(question.schema, content)
        try:
            await self._queue.answer_job(job_id, question.key, action, content, person=True)
        except InvalidAnswerError as error:
            return str(error.details["problems"])
        except (QuestionNotOpenError, JobNotFoundError):
            pass  # another answer was quicker, or the job has ended
        return None


def _message(question: JobQuestion, wrong: str | None) -> str:
    return question.message if wrong is None else forms.again(question.message, wrong)
