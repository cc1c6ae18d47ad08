"""Ask the person at the client of a request, in each era.

Up to 2025-11-25 the server sends ``elicitation/create`` while it works on the request; in
2026-07-28 it answers with an ``input_required`` result, and the client calls again with the
answers. This module is imported at the first question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, InputRequiredResult
from pydantic import ValidationError

from mcp_queue import forms
from mcp_queue.questions import UnansweredError
from mcp_queue.server.asking import request_state
from mcp_queue.server.protocol.elicitation import request_for, shown_schema
from mcp_queue.server.protocol.eras import InputNeeded, is_modern

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from mcp_queue.answers import Answer
    from mcp_queue.questions import JobQuestion
    from mcp_queue.server.protocol.eras import Context

NOT_SHOWN = "the client could not show the form"


class Person:
    """Asks the person. Only for requests for which `eras.shows_forms` is true.

    Three steps serve both eras: use `valid_answers`, call `require_answers` for the other
    questions, and `ask` those.
    """

    def __init__(
        self,
        context: Context,
        state: Mapping[str, Any] | None = None,
        tasks: Container[str] | None = None,
    ) -> None:
        """``state``: the `request_state` that the client sends when it calls again. ``tasks``:
        the jobs whose questions this client gets by other requests."""
        self._context = context
        self._state = state
        self._tasks = tasks or ()
        self._calls_again = is_modern(context)

    def follows(self, job_id: str) -> bool:
        """Whether the client follows the job as a task, and so shows the questions of the task."""
        return job_id in self._tasks

    def can_show(self, schema: Mapping[str, Any]) -> bool:
        """Whether this client can show a form with this schema."""
        return shown_schema(self._context, schema) is not None

    def valid_answers(self, questions: Sequence[JobQuestion]) -> dict[str, Answer]:
        """The valid answers of this request, by key."""
        given = {each.key: self._answer_in_request(each) for each in questions}
        return {key: found[0] for key, found in given.items() if found and not found[1]}

    def require_answers(
        self, questions: Sequence[JobQuestion], state: Mapping[str, Any] | None = None
    ) -> None:
        """End the request; the client must call again with answers to these questions.

        Raises InputNeeded. Does nothing in the eras that ask while the request is open.
        """
        if not self._calls_again:
            return
        state = self._state if state is None else state
        sealed = None if state is None else request_state.seal(self._context, state)
        requests = {
            each.key: ElicitRequest.model_validate(request_for(self._again(each)))
            for each in questions
        }
        raise InputNeeded(InputRequiredResult(input_requests={**requests}, request_state=sealed))

    async def ask(self, question: JobQuestion) -> Answer:
        """Ask while the request is open, until the answer is valid, at most `forms.TRIES` times.

        Raises UnansweredError. Cancelling it withdraws the form.
        """
        shown = shown_schema(self._context, question.schema)
        if shown is None:
            raise UnansweredError(NOT_SHOWN)
        session, request_id = self._context.session, self._context.request_id
        problems: list[str] = []
        for _ in range(forms.TRIES):
            message = question.with_problems(problems).message
            try:
                given = await session.elicit_form(message, shown, related_request_id=request_id)
            except (MCPError, ValidationError):
                raise UnansweredError(NOT_SHOWN) from None
            answer, problems = question.check_form(given.action, given.content)
            if not problems:
                return answer
        raise UnansweredError(f"what came back does not fit: {'; '.join(problems)}")

    def _answer_in_request(self, question: JobQuestion) -> tuple[Answer, list[str]] | None:
        """The answer of this request, and the problems with it."""
        if not self._calls_again or self._context.params is None:
            return None
        responses: dict[str, dict[str, Any]] = self._context.params.get("inputResponses") or {}
        response = responses.get(question.key)
        if response is None or "action" not in response:  # a response of another kind, as to roots
            return None
        return question.check_form(response["action"], response.get("content"))

    def _again(self, question: JobQuestion) -> JobQuestion:
        found = self._answer_in_request(question)
        return question if found is None else question.with_problems(found[1])
