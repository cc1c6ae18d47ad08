"""Prompts: those of the queue, and those of authors (``@prompt``)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from mcp_types import (
    GetPromptResult,
    ListPromptsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from mcp_queue.commands.problems import type_words
from mcp_queue.commands.schema import schema_of
from mcp_queue.commands.soundness import fault_of_prompt, sound
from mcp_queue.errors import QueueError
from mcp_queue.server.authored.containment import in_thread
from mcp_queue.server.authored.invoke import CONTENTS, invoke, protocol_errors
from mcp_queue.server.features import queue_prompts
from mcp_queue.server.protocol.eras import FRESH, PAGE, InputNeeded, invalid_params
from mcp_queue.server.protocol.paging import page_of
from mcp_queue.values import to_json

if TYPE_CHECKING:
    from mcp_types import (
        ContentBlock,
        GetPromptRequestParams,
        InputRequiredResult,
        PaginatedRequestParams,
    )

    from mcp_queue.commands.definition import Definition
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services


async def list_prompts(
    services: Services, _context: Context, params: PaginatedRequestParams | None
) -> ListPromptsResult:
    """``prompts/list``: the authors' prompts, then the queue's."""
    shown, following = page_of(prompts(services), params, PAGE)
    return ListPromptsResult(
        prompts=shown, next_cursor=following, ttl_ms=FRESH, cache_scope="public"
    )


async def get_prompt(
    services: Services, context: Context, params: GetPromptRequestParams
) -> GetPromptResult | InputRequiredResult:
    """``prompts/get``. An unknown prompt, or a missing or wrong argument, is a protocol error.

    An author's prompt may ask the person, as plain commands do.
    """
    arguments = params.arguments or {}
    info = services.catalog.prompts.get(params.name)
    try:
        if info is not None:
            return await _authored(services, info, arguments, context)
        if any(prompt.name == params.name for prompt in queue_prompts.PROMPTS):
            return await queue_prompts.get_prompt(services.queue, params.name, arguments)
    except InputNeeded as needed:
        return needed.result
    except QueueError as error:
        raise invalid_params(f"{error.message} {error.hint}") from None
    names = ", ".join(prompt.name for prompt in prompts(services))
    raise invalid_params(f"Unknown prompt: {params.name[:200]!r}. There are {names}.")


def prompts(services: Services) -> list[Prompt]:
    """All sound prompts; the log names those that are not."""
    authored = sound(services.catalog.prompts.values(), fault_of_prompt)
    return [describe(info) for info in authored] + queue_prompts.PROMPTS


def describe(info: Definition) -> Prompt:
    """An author's prompt as clients see it."""
    schema = schema_of(info)
    shape = schema.input_schema
    required = shape.get("required", ())
    arguments = [
        PromptArgument(name=name, description=_about(part, shape), required=name in required)
        for name, part in shape["properties"].items()
    ]
    return Prompt(
        name=info.name, title=info.title, description=schema.summary, arguments=arguments or None
    )


def _about(part: dict[str, Any], schema: dict[str, Any]) -> str | None:
    kind = type_words(part, schema)
    return part.get("description") or (None if kind == "string" else kind)


async def _authored(
    services: Services, info: Definition, arguments: dict[str, str], context: Context
) -> GetPromptResult:
    with protocol_errors(info):
        value = await invoke(services, info, arguments, context)
        if isinstance(value, GetPromptResult):
            return value
        messages = await in_thread(lambda: _messages(context, value), services.threads)
    return GetPromptResult(description=schema_of(info).summary, messages=messages)


def _messages(context: Context, value: Any) -> list[PromptMessage]:
    """The result of an author's prompt; each item becomes one message of the user."""
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    messages: list[PromptMessage] = []
    for item in items:
        if isinstance(item, PromptMessage):
            messages.append(item)
        else:
            block = _content(context, item)
            messages.append(PromptMessage(role="user", content=block))
    return messages


def _content(context: Context, item: Any) -> ContentBlock:
    """A text, an image or another content as it is, any other value as JSON."""
    if CONTENTS in sys.modules:
        from mcp_queue.server.protocol import contents

        blocks: list[ContentBlock] = []
        if contents.value_blocks(context, blocks)(item) is not None:
            return blocks[0]
    return TextContent(text=item if isinstance(item, str) else to_json(item, "message"))
