"""The schema of a form from the types that an author gives. It imports pydantic."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, cast, get_args

from pydantic import BaseModel, Field, create_model

from mcp_queue.commands.json_schema import JsonSchema

Reader = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts the values of an answer from JSON to the Python values for the command."""

EXPECTED = "schema is a pydantic model class, a {name: type}, or None for yes or no"


def form_schema(form_type: object) -> tuple[dict[str, Any], Reader, str | None]:
    """The schema of a form for ``form_type``, a reader of its answers, and any fault.

    The fault is the text of what is wrong with ``form_type``, or None.
    """
    if isinstance(form_type, type) and issubclass(form_type, BaseModel):
        model: type[BaseModel] = form_type
    elif isinstance(form_type, dict) and all(isinstance(name, str) for name in form_type):  # pyright: ignore[reportUnknownVariableType]
        try:
            model = _model_of(cast("dict[str, Any]", form_type))
        except Exception as error:  # noqa: BLE001 (a type runs code of the author)
            return {}, dict, f"{EXPECTED}; {_first_line(error)}"
    else:
        return {}, dict, f"{EXPECTED}, got {form_type!r:.80}"
    try:
        whole = model.model_json_schema(schema_generator=JsonSchema)
    except Exception as error:  # noqa: BLE001 (as above)
        return {}, dict, f"a field has no JSON Schema: {_first_line(error)}"
    schema = flat_form(whole.get("properties", {}), whole.get("required", ()), whole)
    return schema, _reader(model), None


def flat_form(properties: dict[str, Any], required: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """A form with these properties of the JSON Schema ``whole``.

    Properties that no form can ask for stay in it. A field that may be null becomes optional.
    """
    fields = {name: _field(part, whole) for name, part in properties.items()}
    needed = [
        name for name in required if name in properties and not _may_be_null(properties[name])
    ]
    schema: dict[str, Any] = {"type": "object", "properties": fields}
    return schema | {"required": needed} if needed else schema


def _model_of(types: dict[str, Any]) -> type[BaseModel]:
    """A model whose fields have generated names, since a model cannot have every name."""
    return create_model(
        "Form",
        **{f"field_{i}": _definition(name, kind) for i, (name, kind) in enumerate(types.items())},
    )


def _definition(name: str, kind: Any) -> Any:
    annotated = Annotated[kind, Field(alias=name)]
    return (annotated, None) if NoneType in get_args(kind) else annotated


def _field(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """One field in the JSON Schema of forms, without references and without a null branch."""
    branches = [branch for branch in part.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        part = {**branches[0], **{key: value for key, value in part.items() if key != "anyOf"}}
    field = _plain(part, whole)
    if isinstance(field.get("items"), dict):
        items = _plain(field["items"], whole)
        field["items"] = {k: v for k, v in items.items() if k not in ("title", "description")}
        field.pop("uniqueItems", None)  # a set implies it
    if field.get("default", 0) is None:
        del field["default"]
    if field.get("type") == "integer":
        _make_inclusive(field)
    return field


def _plain(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """A copy without references (of an enum, say). A constant becomes an enum with one value."""
    field = {key: value for key, value in part.items() if key not in ("$ref", "const")}
    if "$ref" in part:
        target = whole.get("$defs", {}).get(part["$ref"].rpartition("/")[2], {})
        field = {**{key: value for key, value in target.items() if key != "title"}, **field}
    if "const" in part:
        field["enum"] = [part["const"]]
    return field


def _make_inclusive(field: dict[str, Any]) -> None:
    """Replace exclusive limits of whole numbers by inclusive ones, since forms have no others."""
    for exclusive, inclusive, step in (
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ):
        if isinstance(field.get(exclusive), int):
            field.setdefault(inclusive, field.pop(exclusive) + step)


def _may_be_null(part: dict[str, Any]) -> bool:
    return any(branch.get("type") == "null" for branch in part.get("anyOf", ()))


def _reader(model: type[BaseModel]) -> Reader:
    """A reader that converts the values of a form to those of the model, and adds defaults."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    empty = {names[n]: None for n, field in model.model_fields.items() if field.is_required()}

    def read(content: dict[str, Any]) -> dict[str, Any]:
        values = model.model_validate({**empty, **content})
        return {shown: getattr(values, name) for name, shown in names.items()}

    return read


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]
