"""Our generator of JSON Schemas. It imports pydantic."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind


class JsonSchema(GenerateJsonSchema):
    """Without the titles that pydantic makes from field names, since agents pay for each word."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Ignore warnings: pydantic leaves out a default that has no JSON form, which is fine."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def trimmed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without titles that repeat the name of the model."""
    schema.pop("title", None)
    for name, definition in schema.get("$defs", {}).items():
        if definition.get("title") == name:
            del definition["title"]
    return schema
