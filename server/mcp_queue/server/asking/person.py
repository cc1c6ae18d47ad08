"""The person at the client of one request: who can be asked, and how, in each era.

Up to 2025-11-25 the server sends ``elicitation/create`` while it works on the request; in
2026-07-28 it answers with an ``input_required`` result, and the client calls again with the
answers. Imported when a request first has something to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import ValidationError

from mcp_queue.server.asking import request_state
from mcp_queue.server.protocol.eras import InputNeeded, is_modern

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mcp_queue.commands.asking import Given
    from mcp_queue.server.protocol.eras import Context


class Person:
    """Asks the person; only for requests of which `protocol.shows_forms` is true."""

    def __init__(
        self,
        context: Context,
        leaves: Mapping[str, Any] | None = None,
        tasks: Collection[str] | None = None,
    ) -> None:
        """``leaves``: what comes back, as `request_state`, when the request is made again.
        ``tasks``: the jobs whose questions this client gets by other requests."""
        self._context = context
        self._leaves = leaves
        self._tasks = tasks or ()
        self.calls_again = is_modern(context)
        """Whether answers come with another request (`need`), or at once (`ask`)."""

    def follows(self, job_id: str) -> bool:
        """Whether the client follows the job as a task, and so shows the forms of that."""
        return job_id in self._tasks

    def can_see(self, schema: Mapping[str, Any]) -> bool:
        """Whether this client can show a form with this schema."""
        return self._shown(schema) is not None

    async def ask(self, message: str, schema: Mapping[str, Any]) -> Given | None:
        """The answer to a form; None if the client could not ask. Cancelling it withdraws it."""
        shown = self._shown(schema)
        if shown is None:
            return None
        session, request_id = self._context.session, self._context.request_id
        try:
            answer = await session.elicit_form(message, shown, related_request_id=request_id)
        except (MCPError, ValidationError):
            return None
        return answer.action, answer.content or {}

    @property
    def given(self) -> dict[str, Given]:
        """The answers that came with this request, by the keys of `need`."""
        params = self._context.params
        if params is None:
            return {}
        responses: dict[str, dict[str, Any]] = params.get("inputResponses") or {}
        return {
            key: (response["action"], response.get("content") or {})
            for key, response in responses.items()
            if "action" in response  # else it answers what we never ask, roots say
        }

    def need(
        self,
        questions: Mapping[str, tuple[str, Mapping[str, Any]]],
        leaves: Mapping[str, Any] | None = None,
    ) -> NoReturn:
        """Leave the request: it has to be made again with the answers to these forms."""
        leaves = self._leaves if leaves is None else leaves
        state = None if leaves is None else request_state.seal(self._context, leaves)
        requests = {key: form(message, schema) for key, (message, schema) in questions.items()}
        raise InputNeeded(InputRequiredResult(input_requests={**requests}, request_state=state))

    def _shown(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        if is_version_at_least(self._context.protocol_version, "2025-11-25"):
            return dict(schema)
        return _of_2025_06(schema)


def form(message: str, schema: Mapping[str, Any]) -> ElicitRequest:
    """A question as MCP's ``elicitation/create``."""
    params = ElicitRequestFormParams(message=message, requested_schema=dict(schema))
    return ElicitRequest(params=params)


def _of_2025_06(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema as 2025-06-18 knows it; None where it has lists of choices, which came later."""
    fields: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        if field["type"] == "array":
            return None
        kept = {key: value for key, value in field.items() if key != "oneOf"}
        if field["type"] != "boolean":
            kept.pop("default", None)
        if "oneOf" in field:
            kept["enum"] = [choice["const"] for choice in field["oneOf"]]
            kept["enumNames"] = [choice["title"] for choice in field["oneOf"]]
        fields[name] = kept
    return {**schema, "properties": fields}
