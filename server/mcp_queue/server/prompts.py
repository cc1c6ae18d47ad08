"""Prompts: those of the queue, and those that authors write (``@prompt``)."""

from __future__ import annotations

import logging
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
from mcp_queue.errors import InvalidCommandError, QueueError
from mcp_queue.server import queue_prompts
from mcp_queue.server.containment import in_thread
from mcp_queue.server.invoke import CONTENTS, invoke, protocol_errors
from mcp_queue.server.paging import page_of
from mcp_queue.server.protocol import FRESH, PAGE, InputNeeded, invalid_params
from mcp_queue.server.results import compact

if TYPE_CHECKING:
    from mcp_types import (
        ContentBlock,
        GetPromptRequestParams,
        InputRequiredResult,
        PaginatedRequestParams,
    )

    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol import Context
    from mcp_queue.server.state import State

log = logging.getLogger(__name__)


async def listed(
    state: State, _context: Context, params: PaginatedRequestParams | None
) -> ListPromptsResult:
    """``prompts/list``: the authors' prompts, then the queue's."""
    shown, following = page_of(prompts(state), params, PAGE)
    return ListPromptsResult(
        prompts=shown, next_cursor=following, ttl_ms=FRESH, cache_scope="public"
    )


async def got(
    state: State, context: Context, params: GetPromptRequestParams
) -> GetPromptResult | InputRequiredResult:
    """``prompts/get``. What is unknown, missing or wrong is a protocol error that says what it is.

    An author's prompt may ask the person, as plain commands do.
    """
    arguments = params.arguments or {}
    info = state.catalog.prompts.get(params.name)
    try:
        if info is not None:
            return await _authored(state, info, arguments, context)
        if any(prompt.name == params.name for prompt in queue_prompts.PROMPTS):
            return await queue_prompts.got(state.queue, params.name, arguments)
    except InputNeeded as needed:
        return needed.result
    except QueueError as error:
        raise invalid_params(f"{error.message} {error.hint}") from None
    names = ", ".join(prompt.name for prompt in prompts(state))
    raise invalid_params(f"Unknown prompt: {params.name[:200]!r}. There are {names}.")


def prompts(state: State) -> list[Prompt]:
    """All that can be offered; what cannot is said in the log."""
    authored = [describe(info) for info in state.catalog.prompts.values()]
    return [prompt for prompt in authored if prompt is not None] + queue_prompts.PROMPTS


def describe(info: CommandInfo) -> Prompt | None:
    """An author's prompt as clients see it; None, said in the log, if its signature forbids it."""
    try:
        schema = schema_of(info)
        arguments = [
            _argument(info, name, part, schema.input_schema)
            for name, part in schema.input_schema["properties"].items()
        ]
    except InvalidCommandError as error:
        log.error("%s %s", error.message, error.hint)
        return None
    return Prompt(
        name=info.name, title=info.title, description=schema.summary, arguments=arguments or None
    )


def _argument(
    info: CommandInfo, name: str, part: dict[str, Any], schema: dict[str, Any]
) -> PromptArgument:
    kind = type_words(part, schema)
    if kind.startswith(("array", "object")):
        raise InvalidCommandError(
            command=info.name,
            reason=f"the parameter {name!r} is an {kind.split()[0]}, but the arguments of a prompt "
            "are texts",
        )
    description = part.get("description") or (None if kind == "string" else kind)
    return PromptArgument(
        name=name, description=description, required=name in schema.get("required", ())
    )


async def _authored(
    state: State, info: CommandInfo, arguments: dict[str, str], context: Context
) -> GetPromptResult:
    with protocol_errors(info):
        value = await invoke(state, info, arguments, context)
        if isinstance(value, GetPromptResult):
            return value
        messages = await in_thread(lambda: _messages(context, value), state.threads)
    return GetPromptResult(description=schema_of(info).summary, messages=messages)


def _messages(context: Context, value: Any) -> list[PromptMessage]:
    """What an author's prompt returned, each item as one message of the user."""
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
    """A text, an image and the like as it is, anything else as JSON."""
    if CONTENTS in sys.modules:
        from mcp_queue.server import contents

        blocks: list[ContentBlock] = []
        if contents.of_value(context, blocks)(item) is not None:
            return blocks[0]
    return TextContent(text=item if isinstance(item, str) else compact(item))
