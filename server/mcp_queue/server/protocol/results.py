"""Tool results: text and structured content, each of them complete, and one form of errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_types import CallToolResult, ResourceLink, TextContent
from pydantic_core import from_json

from mcp_queue.builtin import NAMES
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import InvalidCommandError
from mcp_queue.queue_uris import job_uri
from mcp_queue.server.protocol.eras import supports_links

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
"""It is loose because clients check a handle and the result of its task against the same schema."""


def compact(value: object) -> str:
    """A ``value`` of this program as JSON without spaces; half a surrogate pair becomes ``?``."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()


def success(structured: dict[str, Any], *more: ContentBlock) -> CallToolResult:
    """A result with ``structured``, a value of this program, as text and as structured content."""
    text = compact(structured)
    if "?" in text:  # it may stand for half a surrogate pair
        return json_result(text, *more)
    return CallToolResult(content=[TextContent(text=text), *more], structured_content=structured)


def json_result(text: str, *more: ContentBlock) -> CallToolResult:
    """A result with a JSON object, given as ``text``, in both forms, and ``more`` blocks."""
    content: list[ContentBlock] = [TextContent(text=text), *more]
    return CallToolResult(content=content, structured_content=from_json(text))


def error_shape(
    code: object, message: str, hint: str | None = None, **details: object
) -> dict[str, Any]:
    """The form of every tool error; ``details`` that are None are left out."""
    error: dict[str, object] = {"code": code, "message": message}
    if hint:
        error["hint"] = hint
    error |= {key: value for key, value in details.items() if value is not None}
    return {"success": False, "error": error}


def failure(shape: dict[str, Any], *more: ContentBlock, text_only: bool = False) -> CallToolResult:
    """An error result; ``text_only`` if the tool's output schema does not allow the error form."""
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
    """Whether the tool's output schema does not allow the error form."""
    try:
        return output_schema_of(info) not in (None, ENVELOPE_SCHEMA)
    except InvalidCommandError:  # the tool is not listed, so clients have no schema of it
        return False


def job_links(context: Context, record: JobRecord) -> list[ResourceLink]:
    """Links to the job and its logs, for clients that support links."""
    if not supports_links(context):
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
