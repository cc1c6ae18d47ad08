"""A command's parameters as a pydantic model: their JSON Schema, validation and conversion.

It imports pydantic, so a worker imports it only for a command whose parameters are not plain.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticSerializationError

from mcp_queue.commands import problems
from mcp_queue.commands.json_schema import JsonSchema, trimmed
from mcp_queue.commands.signature import EMPTY, Parameter, Signature, is_plain
from mcp_queue.errors import InvalidCommandError


class Checked(NamedTuple):
    """Valid parameters, mended if necessary, and the model made from them."""

    params: dict[str, Any]
    model: BaseModel


class Arguments:
    """A pydantic model of the parameters, and the conversions to and from it.

    The fields have generated names, with the parameters' names as aliases, because a model cannot
    have fields such as ``_x``, ``schema`` or ``model_config``.
    """

    def __init__(self, command: str, signature: Signature, descriptions: dict[str, str]) -> None:
        self._command = command
        self._inject = signature.inject
        self._takes_more = signature.takes_any_name
        self._fields = {p.name: f"field_{i}" for i, p in enumerate(signature.parameters)}
        self._model = _build(command, signature, self._fields)
        self._plain = {p.name for p in signature.parameters if is_plain(p.annotation)}
        self._pydantic_defaults = {
            p.name for p in signature.parameters if self._has_pydantic_default(p)
        }
        self.plain = len(self._plain) == len(self._fields) and not self._pydantic_defaults
        self.schema = _input_schema(command, signature, self._model)
        for name, part in self.schema["properties"].items():
            if name in descriptions:
                part.setdefault("description", descriptions[name])

    def check(self, params: object) -> Checked:
        """Check the parameters. Raises InvalidParamsError.

        Typical mistakes of hosts are corrected (`mending`).
        """
        if not isinstance(params, dict):
            raise problems.not_an_object(self._command, params, self.schema)
        values = {str(name): value for name, value in cast("dict[Any, Any]", params).items()}
        sentences = self._reserved_problems(values)
        more = 0
        try:
            model = _validate(self._model, values)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            checked = (
                None if sentences else self._mend(values, {each["loc"][:1] for each in errors})
            )
            if isinstance(checked, Checked):
                return checked
            if checked is not None:  # what is still wrong after mending
                values, errors = checked
            sentences += problems.describe(errors, values, self.schema)
            more = max(0, len(errors) - problems.MAX_DESCRIBED)
        else:
            if not sentences:
                return Checked(values, model)
        raise problems.invalid(self._command, list(dict.fromkeys(sentences)), self.schema, more)

    def as_json(self, checked: Checked) -> dict[str, Any]:
        """The parameters as JSON values. Raises InvalidParamsError if a value has no JSON form."""
        values, model = checked
        # JSON values of types that the worker checks again pass unchanged: some types cannot read
        # their own JSON form (secrets, models with aliases).
        unchanged = {
            name: value
            for name, value in values.items()
            if name in self._fields and self._passes_unchanged(name, value)
        }
        try:
            dumped = model.model_dump(
                mode="json",
                by_alias=True,
                exclude_unset=True,
                warnings=False,
                exclude={self._fields[name] for name in unchanged},
            )
        except PydanticSerializationError as error:
            problem = f"not all values can be written as JSON: {error}"
            raise problems.invalid(self._command, [problem], self.schema) from error
        return {name: unchanged[name] if name in unchanged else dumped[name] for name in values}

    def as_python(self, checked: Checked) -> dict[str, Any]:
        """The parameters as Python values."""
        values, model = checked
        arguments = {
            name: getattr(model, field)
            for name, field in self._fields.items()
            if name in values or name in self._pydantic_defaults
        }
        return arguments | (model.model_extra or {})

    def with_plain_values(self, checked: Checked) -> dict[str, Any]:
        """The parameters, with values of plain types converted (a text to a number, say)."""
        values, model = checked
        plain = {name: getattr(model, self._fields[name]) for name in self._plain & values.keys()}
        return values | plain

    def _has_pydantic_default(self, parameter: Parameter) -> bool:
        """Whether only pydantic knows the default, so that a call would not apply it."""
        unknown = parameter.default is EMPTY or isinstance(parameter.default, FieldInfo)
        return unknown and not self._model.model_fields[self._fields[parameter.name]].is_required()

    def _passes_unchanged(self, name: str, value: object) -> bool:
        return name not in self._plain and _is_json(value)

    def _mend(
        self, values: dict[str, Any], places: set[tuple[int | str, ...]]
    ) -> Checked | tuple[dict[str, Any], list[ErrorDetails]] | None:
        from mcp_queue.commands import mending

        names = {str(name) for place in places for name in place}
        mended = mending.mend(names, values, self.schema)
        if mended is None:
            return None
        try:
            model = _validate(self._model, mended)
        except ValidationError as error:
            return mended, error.errors(include_url=False, include_context=False)
        except Exception:  # noqa: BLE001 (an author's checks may not expect mended values)
            return None
        mending.log_mended(self._command, values, mended)
        return Checked(mended, model)

    def _reserved_problems(self, values: dict[str, Any]) -> list[str]:
        """Problems with names that callers must not give, but that ``**kwargs`` would accept."""
        if not self._takes_more:
            return []
        reserved = {"self", *self._inject}
        return [problems.unknown(name, ()) for name in values if name in reserved]


def _validate(model: type[BaseModel], params: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(params)
    except ValidationError:
        # Strict types accept a date or an enum as a string from JSON, but not from Python.
        try:
            text = json.dumps(params)
        except (TypeError, ValueError, RecursionError):
            text = None
        if text is None:
            raise
        return model.model_validate_json(text)


def _definition(parameter: Parameter) -> Any:
    """A parameter in pydantic's form: an annotation, or an annotation and a default."""
    annotation: Any = Any if parameter.annotation is EMPTY else parameter.annotation
    default = parameter.default
    if default is None:
        annotation = annotation | None
    name = parameter.name
    alias = Field(alias=name, validation_alias=name, serialization_alias=name)
    if isinstance(default, FieldInfo):
        return Annotated[annotation, default, alias]
    annotated = Annotated[annotation, alias]
    return annotated if default is EMPTY else (annotated, default)


def _build(command: str, signature: Signature, fields: dict[str, str]) -> type[BaseModel]:
    extra = "allow" if signature.takes_any_name else "forbid"
    config = ConfigDict(extra=extra, ser_json_inf_nan="constants")
    try:
        definitions = {fields[p.name]: _definition(p) for p in signature.parameters}
        return create_model("Parameters", __config__=config, **definitions)
    except Exception as error:
        raise _schema_error(command, signature, error) from error


def _input_schema(command: str, signature: Signature, model: type[BaseModel]) -> dict[str, Any]:
    try:
        schema = trimmed(model.model_json_schema(schema_generator=JsonSchema))
    except Exception as error:
        raise _schema_error(command, signature, error) from error
    properties = schema.pop("properties", {})
    return {"type": "object", "properties": properties} | schema


def _schema_error(command: str, signature: Signature, error: Exception) -> InvalidCommandError:
    """An error that names the parameter whose type has no JSON Schema; ``error`` does not name it.

    ``error`` may be any exception, since an annotation runs code of the author.
    """
    reason = _first_sentence(error)
    for parameter in signature.parameters:
        try:
            model = create_model("Parameter", it=_definition(parameter))
            model.model_json_schema(schema_generator=JsonSchema)
        except Exception as cause:  # noqa: BLE001
            reason = (
                f"the parameter {parameter.name!r} has no JSON Schema: {_first_sentence(cause)}"
            )
            break
    return InvalidCommandError(command=command, reason=reason)


def _first_sentence(error: Exception) -> str:
    return str(error).split("\n")[0].split(". ")[0].rstrip(".")


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, cast("list[object]", value)))
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return all(isinstance(key, str) and _is_json(item) for key, item in pairs)
    return value is None or type(value) in (str, int, float, bool)
