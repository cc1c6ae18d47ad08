"""Tools: each command is a tool. A call answers with the result, a job handle, or a task."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    Tool,
    ToolAnnotations,
)

from mcp_queue.builtin import NAMES, OPEN_WORLD
from mcp_queue.commands.schema import schema_of
from mcp_queue.commands.soundness import fault, sound
from mcp_queue.errors import CommandNotFoundError, QueueError
from mcp_queue.server.authored.containment import log_check_failure
from mcp_queue.server.authored.plain import PlainCalls
from mcp_queue.server.features.inline import wait_inline
from mcp_queue.server.features.tasks import created
from mcp_queue.server.following.notifier import command_ran
from mcp_queue.server.protocol.eras import (
    FRESH,
    PAGE,
    InputNeeded,
    declares_tasks,
    invalid_params,
    tasks_required,
)
from mcp_queue.server.protocol.paging import page_of
from mcp_queue.server.protocol.results import (
    error_shape,
    errors_are_text_only,
    failure,
    job_links,
    output_schema_of,
    success,
)
from mcp_queue.views import handle

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult
    from mcp_types import InputRequiredResult, PaginatedRequestParams

    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services

_no_object: ContextVar[object] = ContextVar("mcp_queue_no_object")


class Tools:
    """The handlers of ``tools/list`` and ``tools/call``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._plain = PlainCalls(services)
        self._list: list[Tool] | None = None

    async def list(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """All sound commands, in pages; the built-in commands come last."""
        if self._list is None:
            infos = sorted(self._services.catalog, key=lambda info: info.name in NAMES)
            self._list = [describe(info) for info in sound(infos, fault)]
        shown, following = page_of(self._list, params, PAGE)
        return ListToolsResult(
            tools=shown, next_cursor=following, ttl_ms=FRESH, cache_scope="private"
        )

    async def call(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult | dict[str, Any]:
        """Call a command. An unknown tool is a protocol error; every other error is a result."""
        try:
            info = self._services.catalog.get(params.name)
        except CommandNotFoundError as error:
            near = error.details["near"]
            raise invalid_params(f"Unknown tool: {params.name[:200]!r}.{near}") from None
        arguments = _no_object.get(params.arguments or {})
        if not isinstance(arguments, dict):
            return _not_an_object(info, arguments)
        try:
            return await self._call(info, params, context)
        except InputNeeded as needed:
            return needed.result

    async def _call(
        self, info: CommandInfo, params: CallToolRequestParams, context: Context
    ) -> CallToolResult | dict[str, Any]:
        as_task = info.use_queue and declares_tasks(context) and info.task != "never"
        if info.task == "required" and not as_task:
            raise tasks_required()
        state = _request_state(context) if params.request_state is not None else {}
        arguments = {**(params.arguments or {}), **state.get("arguments", {})}
        if info.ask_for and "job" not in state:
            from mcp_queue.server.asking.ask_for import complete_arguments

            try:
                arguments = await complete_arguments(info, arguments, context)
            except QueueError as error:
                return _error_result(info, error)
        if not info.use_queue:
            result = await self._plain.call(info, arguments, context)
            self._services.notifier.notify({command_ran(info.name)})
            return result
        existing = state.get("job")
        return await self._queue(info, arguments, context, as_task=as_task, existing=existing)

    async def _queue(
        self,
        info: CommandInfo,
        arguments: dict[str, Any],
        context: Context,
        *,
        as_task: bool,
        existing: str | None,
    ) -> CallToolResult | dict[str, Any]:
        """``existing``: the job that an earlier request of this call has queued."""
        queue = self._services.queue
        try:
            if existing is None:
                record = await queue.submit(info, arguments)
            else:
                record = await queue.record_of(existing)
        except QueueError as error:
            return _error_result(info, error)
        problem = await queue.start_problem() if record.needs_supervisor else None
        if as_task:
            self._services.tasks.add(record.job_id)
            return created(record, queue.settings, problem)
        if problem is not None:
            shape = {**handle(record), "success": False, "error": problem.to_dict()}
            return failure(shape, *job_links(context, record))
        if info.inline_wait is not None:
            return await wait_inline(context, queue, record, info.inline_wait)
        return success(handle(record), *job_links(context, record))


def _request_state(context: Context) -> dict[str, Any]:
    """The state that an earlier request passed on to this one; an error if it is not ours."""
    from mcp_queue.server.asking.request_state import open_state

    return open_state(context)


async def catch_no_object(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: pass ``arguments`` that are no object on to the tool, for an error result.

    The SDK would answer with a protocol error, which models do not see.
    """
    params = ctx.params
    if ctx.method != "tools/call" or params is None or "arguments" not in params:
        return await call_next(ctx)
    arguments = params["arguments"]
    if isinstance(arguments, dict):
        return await call_next(ctx)
    arguments = _parsed(arguments)
    if isinstance(arguments, dict):
        return await call_next(replace(ctx, params={**params, "arguments": arguments}))
    token = _no_object.set({} if arguments is None else arguments)
    try:
        return await call_next(replace(ctx, params={**params, "arguments": {}}))
    finally:
        _no_object.reset(token)


def _parsed(arguments: object) -> object:
    """The object in ``arguments`` that are JSON text, as some hosts send them; else unchanged."""
    if not isinstance(arguments, str):
        return arguments
    try:
        value: object = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments  # pyright: ignore[reportUnknownVariableType]


def _error_result(info: CommandInfo, error: QueueError) -> CallToolResult:
    log_check_failure(info, error)
    shape = error_shape(error.code, error.message, error.hint)
    return failure(shape, text_only=errors_are_text_only(info))


def _not_an_object(info: CommandInfo, arguments: object) -> CallToolResult:
    try:
        schema_of(info).validate(arguments)
    except QueueError as error:
        return _error_result(info, error)
    shape = error_shape("invalid_params", f"The arguments of {info.name!r} are no object")
    return failure(shape, text_only=errors_are_text_only(info))


def describe(info: CommandInfo) -> Tool:
    """The command as a tool."""
    schema = schema_of(info)
    return Tool(
        name=info.name,
        title=info.title,
        description=schema.summary,
        input_schema=schema.offered_schema,
        output_schema=output_schema_of(info),
        annotations=_annotations(info),
    )


def _annotations(info: CommandInfo) -> ToolAnnotations | None:
    if info.read_only is None and info.destructive is None:
        return None
    return ToolAnnotations(
        read_only_hint=info.read_only,
        destructive_hint=info.destructive,
        # Most built-in commands act only on the queue.
        open_world_hint=info.name in OPEN_WORLD if info.name in NAMES else None,
    )
