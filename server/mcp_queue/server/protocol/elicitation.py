"""Questions as MCP's ``elicitation/create`` shows them, in each era."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.server.protocol.eras import knows_lists_of_choices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_queue.questions import JobQuestion
    from mcp_queue.server.protocol.eras import Context


def request_for(question: JobQuestion) -> dict[str, Any]:
    """The request that asks the question, in a result."""
    params = {"mode": "form", "message": question.message, "requestedSchema": question.schema}
    return {"method": "elicitation/create", "params": params}


def shown_schema(context: Context, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A form's schema as this client knows it; None where the client cannot show the form."""
    return dict(schema) if knows_lists_of_choices(context) else _of_2025_06(schema)


def _of_2025_06(schema: Mapping[str, Any]) -> dict[str, Any] | None:
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
