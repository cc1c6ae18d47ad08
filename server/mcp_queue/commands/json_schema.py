"""How pydantic writes JSON Schemas here. It imports pydantic."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind


class JsonSchema(GenerateJsonSchema):
    """Without the titles that pydantic makes of field names: an agent pays for each word."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """A default that JSON cannot hold is left out; that is nothing to warn of."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def trimmed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without titles that repeat the name of the model."""
    schema.pop("title", None)
    for name, definition in schema.get("$defs", {}).items():
        if definition.get("title") == name:
            del definition["title"]
    return schema
