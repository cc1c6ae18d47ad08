"""A command's parameters as a pydantic model: their JSON Schema, and values in and out.

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
    """What was given, mended where need was, and the model that it made."""

    given: dict[str, Any]
    model: BaseModel


class Arguments:
    """A pydantic model of the parameters, and the ways into it and out of it.

    Its fields have names of ours and the parameters' names as aliases, because a parameter may be
    called ``_x``, ``schema`` or ``model_config``, which a model cannot have.
    """

    def __init__(self, command: str, signature: Signature, descriptions: dict[str, str]) -> None:
        self._command = command
        self._inject = signature.inject
        self._takes_more = signature.takes_more
        self._fields = {p.name: f"field_{i}" for i, p in enumerate(signature.parameters)}
        self._model = _build(command, signature, self._fields)
        self._plain = {p.name for p in signature.parameters if is_plain(p.annotation)}
        self._filled = {p.name for p in signature.parameters if self._is_filled(p)}
        self.plain = len(self._plain) == len(self._fields) and not self._filled
        self.schema = _input_schema(command, signature, self._model)
        for name, part in self.schema["properties"].items():
            if name in descriptions:
                part.setdefault("description", descriptions[name])

    def checked(self, params: object) -> Checked:
        """What was given, checked; raises InvalidParamsError.

        What is wrong in the ways of hosts is taken for what it means (`mending`).
        """
        if not isinstance(params, dict):
            raise problems.not_an_object(self._command, params, self.schema)
        given = {str(name): value for name, value in cast("dict[Any, Any]", params).items()}
        wrong = self._reserved(given)
        left = 0
        try:
            model = _validate(self._model, given)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            checked = None if wrong else self._mended(given, {each["loc"][:1] for each in errors})
            if isinstance(checked, Checked):
                return checked
            if checked is not None:  # what is still wrong when the rest is taken as it was meant
                given, errors = checked
            wrong += problems.describe(errors, given, self.schema)
            left = max(0, len(errors) - problems.LOOKED_AT)
        else:
            if not wrong:
                return Checked(given, model)
        raise problems.invalid(self._command, list(dict.fromkeys(wrong)), self.schema, left)

    def as_json(self, checked: Checked) -> dict[str, Any]:
        """What was given as JSON values; raises InvalidParamsError for what cannot be."""
        given, model = checked
        # What is JSON already stays as it came, if the worker checks it again: not every type
        # reads what it writes (secrets, models with aliases).
        kept = {k: v for k, v in given.items() if k in self._fields and self._keeps(k, v)}
        try:
            dumped = model.model_dump(
                mode="json",
                by_alias=True,
                exclude_unset=True,
                warnings=False,
                exclude={self._fields[name] for name in kept},
            )
        except PydanticSerializationError as error:
            problem = f"not all values can be written as JSON: {error}"
            raise problems.invalid(self._command, [problem], self.schema) from error
        return {name: kept[name] if name in kept else dumped[name] for name in given}

    def as_python(self, checked: Checked) -> dict[str, Any]:
        """What was given as Python values."""
        given, model = checked
        arguments = {
            name: getattr(model, field)
            for name, field in self._fields.items()
            if name in given or name in self._filled
        }
        return arguments | (model.model_extra or {})

    def as_it_counts(self, checked: Checked) -> dict[str, Any]:
        """What was given, numbers and the like that came as texts as what they are."""
        given, model = checked
        plain = {name: getattr(model, self._fields[name]) for name in self._plain & given.keys()}
        return given | plain

    def _is_filled(self, parameter: Parameter) -> bool:
        """Whether calling the function does not apply the default: only pydantic knows it."""
        unknown = parameter.default is EMPTY or isinstance(parameter.default, FieldInfo)
        return unknown and not self._model.model_fields[self._fields[parameter.name]].is_required()

    def _keeps(self, name: str, value: object) -> bool:
        return name not in self._plain and _is_json(value)

    def _mended(
        self, given: dict[str, Any], places: set[tuple[int | str, ...]]
    ) -> Checked | tuple[dict[str, Any], list[ErrorDetails]] | None:
        from mcp_queue.commands import mending

        names = {str(name) for place in places for name in place}
        mended = mending.mended(names, given, self.schema)
        if mended is None:
            return None
        try:
            model = _validate(self._model, mended)
        except ValidationError as error:
            return mended, error.errors(include_url=False, include_context=False)
        except Exception:  # noqa: BLE001 (checks of an author's get values that they did not expect)
            return None
        mending.say(self._command, given, mended)
        return Checked(mended, model)

    def _reserved(self, given: dict[str, Any]) -> list[str]:
        """Names that ``**kwargs`` would let through although they are not the caller's."""
        if not self._takes_more:
            return []
        reserved = {"self", *self._inject}
        return [problems.unknown(name, ()) for name in given if name in reserved]


def _validate(model: type[BaseModel], params: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(params)
    except ValidationError:
        # Strict types take a date or an enum from JSON as a string, which in Python they refuse.
        try:
            text = json.dumps(params)
        except (TypeError, ValueError, RecursionError):
            text = None
        if text is None:
            raise
        return model.model_validate_json(text)


def _definition(parameter: Parameter) -> Any:
    """A parameter as pydantic takes it: an annotation, or a pair with a default."""
    annotation: Any = Any if parameter.annotation is EMPTY else parameter.annotation
    default = parameter.default
    if default is None:
        annotation = annotation | None
    name = parameter.name
    names = Field(alias=name, validation_alias=name, serialization_alias=name)
    if isinstance(default, FieldInfo):
        return Annotated[annotation, default, names]
    annotated = Annotated[annotation, names]
    return annotated if default is EMPTY else (annotated, default)


def _build(command: str, signature: Signature, fields: dict[str, str]) -> type[BaseModel]:
    extra = "allow" if signature.takes_more else "forbid"
    config = ConfigDict(extra=extra, ser_json_inf_nan="constants")
    try:
        definitions = {fields[p.name]: _definition(p) for p in signature.parameters}
        return create_model("Parameters", __config__=config, **definitions)
    except Exception as error:
        raise _unusable(command, signature, error) from error


def _input_schema(command: str, signature: Signature, model: type[BaseModel]) -> dict[str, Any]:
    try:
        found = trimmed(model.model_json_schema(schema_generator=JsonSchema))
    except Exception as error:
        raise _unusable(command, signature, error) from error
    properties = found.pop("properties", {})
    return {"type": "object", "properties": properties} | found


def _unusable(command: str, signature: Signature, error: Exception) -> InvalidCommandError:
    """Names the parameter whose type has no JSON Schema; the error met first does not.

    It may be any exception: an annotation runs code of the author's.
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
