"""Tool results: text and structured content that are each complete alone, and one error shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_types import CallToolResult, ResourceLink, TextContent
from pydantic_core import from_json

from mcp_queue.builtin import NAMES
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import InvalidCommandError
from mcp_queue.queue_uris import job_uri
from mcp_queue.server.protocol.eras import knows_links

if TYPE_CHECKING:
    from mcp_types import ContentBlock

    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.server.protocol.eras import Context

ENVELOPE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"success": {"type": "boolean"}, "error": {"type": "object"}},
    "required": ["success"],
}
"""Loose on purpose: clients check a handle and the result of its task against the same schema."""


def compact(value: object) -> str:
    """``value``, which is our own, as JSON without spaces; half a character becomes ``?``."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()


def success(structured: dict[str, Any], *more: ContentBlock) -> CallToolResult:
    """A result that holds ``structured``, which is our own, as text and as structured content."""
    return told(compact(structured), *more)


def told(text: str, *more: ContentBlock) -> CallToolResult:
    """A result that holds a JSON object, given as ``text``, in both forms, and ``more``."""
    content: list[ContentBlock] = [TextContent(text=text), *more]
    return CallToolResult(content=content, structured_content=from_json(text))


def error_shape(
    code: object, message: str, hint: str | None = None, **details: object
) -> dict[str, Any]:
    """What every error of a tool looks like; ``details`` that are None are left out."""
    error: dict[str, object] = {"code": code, "message": message}
    if hint:
        error["hint"] = hint
    error |= {key: value for key, value in details.items() if value is not None}
    return {"success": False, "error": error}


def failure(shape: dict[str, Any], *more: ContentBlock, text_only: bool = False) -> CallToolResult:
    """An error; ``text_only`` where the tool's output schema does not admit the error shape."""
    result = success(shape, *more)
    result.is_error = True
    if text_only:
        result.structured_content = None
    return result


def output_schema_of(info: CommandInfo) -> dict[str, Any] | None:
    """The declared schema of a tool's structured content."""
    if info.use_queue or info.name in NAMES:
        return ENVELOPE_SCHEMA
    return schema_of(info).output_schema


def errors_are_text_only(info: CommandInfo) -> bool:
    """Whether the tool's output schema does not admit the error shape."""
    try:
        return output_schema_of(info) not in (None, ENVELOPE_SCHEMA)
    except InvalidCommandError:  # it is listed nowhere, so nobody knows a schema of it
        return False


def job_links(context: Context, record: JobRecord) -> list[ResourceLink]:
    """Links to the job and its logs, for clients that know links."""
    if not knows_links(context):
        return []
    return [
        ResourceLink(
            name=f"{record.command} {record.job_id}",
            title="Job",
            uri=job_uri(record.job_id),
            mime_type="application/json",
        ),
        ResourceLink(
            name=f"logs of {record.job_id}",
            title="Logs",
            uri=job_uri(record.job_id, "logs"),
            mime_type="text/plain",
        ),
    ]
