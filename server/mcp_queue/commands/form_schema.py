"""From the types that an author writes to the schema of a form. It imports pydantic."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, cast, get_args

from pydantic import BaseModel, Field, create_model

from mcp_queue.commands.json_schema import JsonSchema

Reading = Callable[[dict[str, Any]], dict[str, Any]]
"""From the values of an answer, as JSON, to those that its command gets."""

TAKES = "schema is a pydantic model class, a {name: type}, or None for yes or no"


def form_schema(wanted: object) -> tuple[dict[str, Any], Reading, str | None]:
    """The schema of a form that asks for ``wanted``, and how to read its answers.

    The third value says what is wrong with ``wanted``, or is None.
    """
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        model: type[BaseModel] = wanted
    elif isinstance(wanted, dict) and all(isinstance(name, str) for name in wanted):  # pyright: ignore[reportUnknownVariableType]
        try:
            model = _model_of(cast("dict[str, Any]", wanted))
        except Exception as error:  # noqa: BLE001 (a type runs code of the author's)
            return {}, dict, f"{TAKES}; {_first_line(error)}"
    else:
        return {}, dict, f"{TAKES}, got {wanted!r:.80}"
    try:
        found = model.model_json_schema(schema_generator=JsonSchema)
    except Exception as error:  # noqa: BLE001 (as above)
        return {}, dict, f"a field has no JSON Schema: {_first_line(error)}"
    schema = flat_form(found.get("properties", {}), found.get("required", ()), found)
    return schema, _reader(model), None


def flat_form(properties: dict[str, Any], required: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """A form of these properties of the JSON Schema ``whole``; what no form can ask is left in.

    A field that may be null may be left out instead.
    """
    fields = {name: _field(part, whole) for name, part in properties.items()}
    needed = [
        name for name in required if name in properties and not _may_be_null(properties[name])
    ]
    schema: dict[str, Any] = {"type": "object", "properties": fields}
    return schema | {"required": needed} if needed else schema


def _model_of(types: dict[str, Any]) -> type[BaseModel]:
    """A model whose fields have names of ours, since a model cannot have every name."""
    return create_model(
        "Form",
        **{f"field_{i}": _definition(name, kind) for i, (name, kind) in enumerate(types.items())},
    )


def _definition(name: str, kind: Any) -> Any:
    named = Annotated[kind, Field(alias=name)]
    return (named, None) if NoneType in get_args(kind) else named


def _field(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """One field, its reference resolved and its null branch gone, in the words of forms."""
    branches = [branch for branch in part.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        part = {**branches[0], **{key: value for key, value in part.items() if key != "anyOf"}}
    field = _plain(part, whole)
    if isinstance(field.get("items"), dict):
        items = _plain(field["items"], whole)
        field["items"] = {k: v for k, v in items.items() if k not in ("title", "description")}
        field.pop("uniqueItems", None)  # a set makes them so
    if field.get("default", 0) is None:
        del field["default"]
    if field.get("type") == "integer":
        _count_from(field)
    return field


def _plain(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """A copy without references (of an enum, say) and with one choice as a list of choices."""
    field = {key: value for key, value in part.items() if key not in ("$ref", "const")}
    if "$ref" in part:
        found = whole.get("$defs", {}).get(part["$ref"].rpartition("/")[2], {})
        field = {**{key: value for key, value in found.items() if key != "title"}, **field}
    if "const" in part:
        field["enum"] = [part["const"]]
    return field


def _count_from(field: dict[str, Any]) -> None:
    """Whole numbers above 0 are those from 1 on; forms know only the latter."""
    for exclusive, inclusive, step in (
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ):
        if isinstance(field.get(exclusive), int):
            field.setdefault(inclusive, field.pop(exclusive) + step)


def _may_be_null(part: dict[str, Any]) -> bool:
    return any(branch.get("type") == "null" for branch in part.get("anyOf", ()))


def _reader(model: type[BaseModel]) -> Reading:
    """From the values of a form to those of the model, defaults filled in."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    empty = {names[n]: None for n, field in model.model_fields.items() if field.is_required()}

    def read(content: dict[str, Any]) -> dict[str, Any]:
        values = model.model_validate({**empty, **content})
        return {shown: getattr(values, name) for name, shown in names.items()}

    return read


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]
