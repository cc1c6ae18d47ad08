"""The person at the client of one request: who can be asked, and how, in each era.

Up to 2025-11-25 the server sends ``elicitation/create`` while it works on the request; in
2026-07-28 it answers with an ``input_required`` result, and the client calls again with the
answers. Imported when a request first has something to ask.
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
    """Asks the person; only for requests of which `protocol.shows_forms` is true.

    Ask in three steps, which serve both eras: take what `fitting` has, `leave_for` the rest, and
    `ask` what is left after that.
    """

    def __init__(
        self,
        context: Context,
        leaves: Mapping[str, Any] | None = None,
        tasks: Container[str] | None = None,
    ) -> None:
        """``leaves``: what comes back, as `request_state`, when the request is made again.
        ``tasks``: the jobs whose questions this client gets by other requests."""
        self._context = context
        self._leaves = leaves
        self._tasks = tasks or ()
        self._calls_again = is_modern(context)

    def follows(self, job_id: str) -> bool:
        """Whether the client follows the job as a task, and so shows the forms of that."""
        return job_id in self._tasks

    def can_see(self, schema: Mapping[str, Any]) -> bool:
        """Whether this client can show a form with this schema."""
        return shown_schema(self._context, schema) is not None

    def fitting(self, questions: Sequence[JobQuestion]) -> dict[str, Answer]:
        """The answers that came with this request and fit, by key."""
        given = {each.key: self._given(each) for each in questions}
        return {key: found[0] for key, found in given.items() if found and not found[1]}

    def leave_for(
        self, questions: Sequence[JobQuestion], leaves: Mapping[str, Any] | None = None
    ) -> None:
        """Leave the request, which has to be made again with the answers to these questions.

        Raises InputNeeded. Does nothing in the eras that ask while the request is open.
        """
        if not self._calls_again:
            return
        leaves = self._leaves if leaves is None else leaves
        state = None if leaves is None else request_state.seal(self._context, leaves)
        requests = {
            each.key: ElicitRequest.model_validate(request_for(self._again(each)))
            for each in questions
        }
        raise InputNeeded(InputRequiredResult(input_requests={**requests}, request_state=state))

    async def ask(self, question: JobQuestion) -> Answer:
        """Ask while the request is open, again until the answer fits, `forms.TRIES` times at most.

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

    def _given(self, question: JobQuestion) -> tuple[Answer, list[str]] | None:
        """The answer that came with this request, and what is wrong with it."""
        if not self._calls_again or self._context.params is None:
            return None
        responses: dict[str, dict[str, Any]] = self._context.params.get("inputResponses") or {}
        response = responses.get(question.key)
        if response is None or "action" not in response:  # no answer to a question: roots, say
            return None
        return question.check_form(response["action"], response.get("content"))

    def _again(self, question: JobQuestion) -> JobQuestion:
        found = self._given(question)
        return question if found is None else question.with_problems(found[1])
