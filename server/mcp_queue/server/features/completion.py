"""Completion: the possible values of an argument of a prompt or a resource template."""

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
    from mcp_queue.server.services import Services

MAX_VALUES = 100  # in one answer, by the specification


async def complete(
    services: Services, _context: Context, params: CompleteRequestParams
) -> CompleteResult:
    """``completion/complete``: values that start with the given prefix.

    For the queue's prompts and resources: job ids (newest first), streams, states and artifacts.
    For those of authors: the values of a ``Literal``, an enum or a bool. An unknown prompt or
    template is a protocol error, as the specification requires; an unknown argument has no values.
    """
    name, prefix = params.argument.name, params.argument.value
    if (info := _authored(services, params)) is not None:
        return _result([value for value in choices(info, name) if value.startswith(prefix)])
    if name not in _arguments_of(params):
        return _result([])
    if name == "job_id":
        ids, total = await services.queue.find_ids(prefix, MAX_VALUES)
        return _result(ids, total)
    if name == "stream":
        return _result([stream for stream in STREAMS if stream.startswith(prefix)])
    if name == "status":
        return _result([status for status in states.ALL if status.startswith(prefix)])
    others = (params.context.arguments if params.context is not None else None) or {}
    names = await _artifacts(services.queue, others.get("job_id", ""))
    return _result([artifact for artifact in names if artifact.startswith(prefix)])


def choices(info: Definition, argument: str) -> list[str]:
    """The possible values of an argument of an author's prompt or resource; empty if any."""
    try:
        schema = schema_of(info).input_schema
    except QueueError:  # the definition is not sound; it is not listed, and the log says why
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


def _authored(services: Services, params: CompleteRequestParams) -> Definition | None:
    ref = params.ref
    if isinstance(ref, PromptReference):
        return services.catalog.prompts.get(ref.name)
    return services.catalog.resources.get(ref.uri)


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
    except QueueError:  # the job does not exist, or is deleted
        return []


def _result(values: list[str], total: int | None = None) -> CompleteResult:
    total = len(values) if total is None else total
    shown = values[:MAX_VALUES]
    completion = Completion(values=shown, total=total, has_more=total > len(shown))
    return CompleteResult(completion=completion)
