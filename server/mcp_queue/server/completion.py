"""Completion: what may stand for an argument of a prompt or of a resource template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_types import CompleteResult, Completion, PromptReference

from mcp_queue.errors import QueueError
from mcp_queue.jobs import states
from mcp_queue.jobs.logs import STREAMS
from mcp_queue.server.prompts import PROMPTS
from mcp_queue.server.protocol import invalid_params
from mcp_queue.server.resources import TEMPLATES

if TYPE_CHECKING:
    from mcp_types import CompleteRequestParams

    from mcp_queue.manager import QueueManager
    from mcp_queue.server.protocol import Context
    from mcp_queue.server.state import State

MOST = 100  # values in one answer, by the specification


async def complete(
    state: State, _context: Context, params: CompleteRequestParams
) -> CompleteResult:
    """``completion/complete``: job ids newest first, streams, states and artifacts by prefix.

    An unknown prompt or template is a protocol error, as the specification wants it; an argument
    that it does not have completes to nothing.
    """
    known = _arguments_of(params)
    name, prefix = params.argument.name, params.argument.value
    if name not in known:
        return _result([])
    if name == "job_id":
        ids, total = await state.queue.find_ids(prefix, MOST)
        return _result(ids, total)
    if name == "stream":
        return _result([stream for stream in STREAMS if stream.startswith(prefix)])
    if name == "status":
        return _result([status for status in states.ALL if status.startswith(prefix)])
    given = (params.context.arguments if params.context is not None else None) or {}
    names = await _artifacts(state.queue, given.get("job_id", ""))
    return _result([found for found in names if found.startswith(prefix)])


def _arguments_of(params: CompleteRequestParams) -> set[str]:
    ref = params.ref
    if isinstance(ref, PromptReference):
        for prompt in PROMPTS:
            if prompt.name == ref.name:
                return {argument.name for argument in prompt.arguments or ()}
        raise invalid_params(f"Unknown prompt: {ref.name[:200]!r}")
    for template in TEMPLATES:
        if template.uri_template == ref.uri:
            parts = ref.uri.split("{")[1:]
            return {part.partition("}")[0] for part in parts}
    raise invalid_params(f"Unknown resource template: {ref.uri[:200]!r}")


async def _artifacts(queue: QueueManager, job_id: str) -> list[str]:
    try:
        return [artifact.name for artifact in await queue.list_artifacts(job_id)]
    except QueueError:  # no such job, or no more
        return []


def _result(values: list[str], total: int | None = None) -> CompleteResult:
    total = len(values) if total is None else total
    shown = values[:MOST]
    completion = Completion(values=shown, total=total, has_more=total > len(shown))
    return CompleteResult(completion=completion)
