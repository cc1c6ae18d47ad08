"""The job for its command: report progress, log, ask the person, check for a stop request."""

from __future__ import annotations

import sys

from mcp_queue.commands.asking import (
    Question,
    nobody_to_ask,
    read_answers,
    read_answers_async,
    to_job_questions,
)
from mcp_queue.errors import InvalidContentError
from mcp_queue.printable import DESCRIPTION_LIMIT, as_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from os import PathLike
    from typing import Any, TypeVar

    from mcp_queue.answers import Answer
    from mcp_queue.commands.asking import QuestionChannel
    from mcp_queue.commands.contents import Source
    from mcp_queue.questions import JobQuestion

    Item = TypeVar("Item")


class Sink:
    """Receives a job's calls. This base class stores nothing, asks nobody and logs to stderr."""

    def progress(self, percent: float | None, description: str | None) -> None:
        """Receive a report of the job. None means unchanged."""

    def log(self, line: str) -> None:
        """Receive a line of the log."""
        print(as_message(line), file=sys.stderr)

    def stopping(self) -> bool:
        """Whether a stop was requested."""
        return False

    def question_channel(self) -> QuestionChannel | None:
        """The way to ask the person; None if nobody can be asked."""
        return None

    def form_channel(self) -> Any:
        """A `builtin.asking.FormChannel` for the questions of other jobs; None without forms."""
        return None

    def artifact(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Store a file. Raises InvalidContentError and `OSError`."""
        reason = "only a queued command keeps artifacts; return an Image or a File instead"
        raise InvalidContentError(name=f"{name!r:.80}", reason=reason)


class AskMethods:
    """Methods that ask the person at the client."""

    def ask(
        self,
        message: str,
        schema: object = None,
        *,
        timeout: float | None = None,
        person: bool = False,
    ) -> Answer:
        """Ask the person at the client, and wait for the answer, without limit or for ``timeout``
        seconds.

        ``person``: only the person can answer, in a form of the client. Otherwise an agent can
        also answer for the person.

        ``schema``: a flat pydantic model class, a ``{name: type}`` of types for forms (`str`,
        `int`, `float`, `bool`, `date`, `datetime`, `Literal` and `Enum` of texts, lists of those
        two, each with its pydantic `Field`, each ``| None`` if it is optional), or None
        for yes or no: ``if job.ask("Delete 40 files?"):``. Never ask for secrets.

        Raises `AskTimeoutError`; `JobStoppedError` if a stop is requested meanwhile;
        `InvalidQuestionError`; `NobodyToAskError`. In an ``async def`` await `ask_async`.
        """
        questions = {"answer": _question(message, schema, person)}
        return self.ask_all(questions, timeout=timeout)["answer"]

    def ask_all(
        self, questions: Mapping[str, Question], *, timeout: float | None = None
    ) -> dict[str, Answer]:
        """Ask several questions at once, each under a key, and wait for all answers.

        Raises the errors of `ask`. The ``answers`` of an `AskTimeoutError` are those that came in
        time.
        """
        asked, readers = to_job_questions(questions)
        return read_answers(readers, lambda: self._question_channel(asked).ask(asked, timeout))

    async def ask_async(
        self,
        message: str,
        schema: object = None,
        *,
        timeout: float | None = None,
        person: bool = False,
    ) -> Answer:
        """`ask` for an ``async def``: other tasks run while it waits, and a stop cancels it."""
        questions = {"answer": _question(message, schema, person)}
        return (await self.ask_all_async(questions, timeout=timeout))["answer"]

    async def ask_all_async(
        self, questions: Mapping[str, Question], *, timeout: float | None = None
    ) -> dict[str, Answer]:
        """`ask_all` for an ``async def``."""
        asked, readers = to_job_questions(questions)
        answers = self._question_channel(asked).ask_async(asked, timeout)
        return await read_answers_async(readers, answers)

    def _question_channel(self, questions: Sequence[JobQuestion]) -> QuestionChannel:
        raise NotImplementedError


class Job(AskMethods):
    """The value of a command's parameter ``job``.

    Reports never raise for a bad value, so that a wrong percentage cannot fail a job after hours
    of work. Reports are cheap enough for a tight loop, since their transmission is throttled.
    """

    def __init__(self, job_id: str, attempt: int, sink: Sink) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self._sink = sink
        self._warned = False

    @property
    def sink(self) -> Sink:
        """The receiver of its reports."""
        return self._sink

    @property
    def stopping(self) -> bool:
        """True once a stop was requested. Return soon then, since the grace time is short."""
        return self._sink.stopping()

    def set_progress(self, percent: float, description: str | None = None) -> None:
        """Report ``percent`` (clamped to 0..100) and, if given, a description of the current work.

        A value that is no number is ignored, with one line in the job's log.
        """
        value = _percent(percent)
        if value is None:
            self._warn(percent)
        text = None if description is None else _description(description)
        if value is not None or text is not None:
            self._sink.progress(value, text)

    def set_description(self, text: str) -> None:
        """Describe the current work, in at most 1,024 characters; the rest is cut off."""
        self._sink.progress(None, _description(text))

    def track(
        self, iterable: Iterable[Item], total: int | None = None, description: str | None = None
    ) -> Iterator[Item]:
        """Yield the items of ``iterable`` and report how many of them are done.

        ``total`` is by default the length of ``iterable``. If it has no length, the description
        counts the items, and no percentage is reported. It does not stop by itself when
        ``stopping`` becomes true.
        """
        if total is None:
            total = _length(iterable)
        done = 0
        self._report(done, total, description)
        for item in iterable:
            yield item
            done += 1
            self._report(done, total, description)

    def _question_channel(self, questions: Sequence[JobQuestion]) -> QuestionChannel:
        channel = self._sink.question_channel()
        if channel is None:
            raise nobody_to_ask(questions, "it was not called by a client that shows forms")
        return channel

    def log(self, message: object) -> None:
        """Write a line to the job's log (stderr)."""
        self._sink.log(str(message))

    def artifact(
        self,
        name: str,
        data: bytes | str | PathLike[str] | None = None,
        *,
        path: str | PathLike[str] | None = None,
        mime_type: str | None = None,
        title: str | None = None,
    ) -> str:
        """Store a file with the job and return its address. Clients can read it immediately.

        ``data``: bytes, a text, or a `Path` whose file is copied. ``path``: a file, also as text.
        A later artifact with the same ``name`` replaces it in one step. The file is on disk when
        this returns, and is deleted with the job. Unlike reports, this raises: InvalidContentError
        for an invalid name or invalid data, and `OSError` if the file cannot be stored.
        """
        from mcp_queue.commands.contents import source_of
        from mcp_queue.queue_uris import artifact_uri

        about = {"mime_type": mime_type, "title": title}
        self._sink.artifact(name, source_of(name, data, path), about)
        return artifact_uri(self.job_id, name)

    def _report(self, done: int, total: int | None, description: str | None) -> None:
        if total is None:
            self.set_description(f"{description}: {done}" if description else str(done))
        else:
            self.set_progress(100 * done / total if total > 0 else 100, description)

    def _warn(self, percent: object) -> None:
        if not self._warned:
            self._warned = True
            self.log(f"warning: progress must be a number from 0 to 100, ignored: {percent!r:.80}")


def _question(message: str, schema: object, person: bool) -> Question:
    return Question(message, schema, person=person)


def _percent(value: object) -> float | None:
    if isinstance(value, (str, bytes)):
        return None
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except OverflowError:
        return 100.0 if value > 0 else 0.0  # pyright: ignore[reportOperatorIssue]
    except Exception:  # noqa: BLE001 (a number's type may raise anything)
        return None
    if number != number:
        return None
    return min(max(number, 0.0), 100.0)


def _description(text: object) -> str:
    return str(text)[:DESCRIPTION_LIMIT]


def _length(iterable: Iterable[object]) -> int | None:
    try:
        return len(iterable)  # pyright: ignore[reportArgumentType]
    except TypeError:
        return None
