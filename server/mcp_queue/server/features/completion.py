"""Completion: what may stand for an argument of a prompt or of a resource template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_types import CompleteResult, Completion, PromptReference

from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import QueueError
from mcp_queue.jobs import states
from mcp_queue.jobs.logs import STREAMS
from mcp_queue.server.features.queue_prompts import PROMPTS
from mcp_queue.server.features.resources import TEMPLATES
from mcp_queue.server.protocol.eras import invalid_params

if TYPE_CHECKING:
    from mcp_types import CompleteRequestParams

    from mcp_queue.commands.definition import Definition
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.state import State

MOST = 100  # values in one answer, by the specification


async def complete(
    state: State, _context: Context, params: CompleteRequestParams
) -> CompleteResult:
    """``completion/complete``: job ids newest first, streams, states and artifacts by prefix; of
    what authors wrote, the values of a ``Literal``, an enum or a bool.

    An unknown prompt or template is a protocol error, as the specification wants it; an argument
    that it does not have completes to nothing.
    """
    name, prefix = params.argument.name, params.argument.value
    if (info := _authored(state, params)) is not None:
        return _result([value for value in choices(info, name) if value.startswith(prefix)])
    known = _arguments_of(params)
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


def choices(info: Definition, argument: str) -> list[str]:
    """The values that an argument of an author's prompt or resource may have, if they are known."""
    try:
        schema = schema_of(info).input_schema
    except QueueError:  # it is not offered, which the log says
        return []
    part = schema["properties"].get(argument, {})
    found: list[str] = []
    for branch in part.get("anyOf") or [part]:
        resolved = schema.get("$defs", {}).get(branch.get("$ref", "").rpartition("/")[2], branch)
        values: list[Any] = list(resolved.get("enum", ()))
        if "const" in resolved:
            values.append(resolved["const"])
        if resolved.get("type") == "boolean":
            values += [True, False]
        found += [value if isinstance(value, str) else json.dumps(value) for value in values]
    return found


def _authored(state: State, params: CompleteRequestParams) -> Definition | None:
    ref = params.ref
    if isinstance(ref, PromptReference):
        return state.catalog.prompts.get(ref.name)
    return state.catalog.resources.get(ref.uri)


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
