"""JSON Schema and validation of a command's parameters, from its signature (server side).

A worker imports this module only for parameters that are not plain, since it imports pydantic.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from mcp_queue import forms
from mcp_queue.commands.arguments import Arguments
from mcp_queue.commands.docstrings import parameter_descriptions, summary
from mcp_queue.commands.form_schema import flat_form
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.json_schema import JsonSchema, trimmed
from mcp_queue.commands.signature import EMPTY, read_signature, signature_of
from mcp_queue.errors import CheckFailedError, InvalidCommandError, QueueError, cause_of, interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp_queue.commands.arguments import Checked
    from mcp_queue.commands.conditions import Conditions
    from mcp_queue.commands.definition import Definition

T = TypeVar("T")

ASKED_NOTE = "If left out, the user is asked."

_schemas: dict[Definition, CommandSchema | InvalidCommandError] = {}


def schema_of(info: Definition) -> CommandSchema:
    """The schema of a command, built at the first call.

    Raises InvalidCommandError if the command cannot be offered as a tool.
    """
    schema = _schemas.get(info)
    if schema is None:
        schema = _schemas[info] = _build(info)
    if isinstance(schema, InvalidCommandError):
        raise schema.with_traceback(None)
    return schema


def _build(info: Definition) -> CommandSchema | InvalidCommandError:
    """The schema, or the error.

    Annotations, defaults and types run code of the author, which may raise anything.
    """
    try:
        return CommandSchema(info)
    except InvalidCommandError as error:
        fault = error
    except BaseException as error:
        if interrupts(error):
            raise
        reason = f"its parameters cannot be described: {cause_of(error)}"
        fault = InvalidCommandError(command=info.name, reason=reason)
    fault.place = info.place
    return fault


class CommandSchema:
    """The parameters and the result of a command.

    ``inject`` maps parameters that callers do not give to ``job``, ``context`` or ``queue``.
    ``offered_schema`` is the input schema for clients; parameters for which the person is asked are
    optional in it. ``plain`` is true if the command takes JSON values without conversion.
    ``output_schema`` is None if the type of the result is unknown. ``summary`` is the description
    for agents.
    """

    def __init__(self, info: Definition) -> None:
        signature = signature_of(info)
        self._signature = signature
        self.info = info
        self.inject = signature.inject
        self.summary = summary(info.description) or info.title
        self._arguments = Arguments(info.name, signature, parameter_descriptions(info.docstrings))
        self.plain = self._arguments.plain
        self.input_schema: dict[str, Any] = self._arguments.schema
        self._conditions: Conditions | None = None
        self.offered_schema = self.input_schema
        self.output_schema: dict[str, Any] | None = None
        if isinstance(info, CommandInfo):
            self._add_options(info)

    def _add_options(self, info: CommandInfo) -> None:
        self._conditions = _conditions(info, self.input_schema)
        if self._conditions is not None:
            self.input_schema = {**self.input_schema, **self._conditions.keywords}
        self.offered_schema = self.input_schema
        if info.ask_for:
            _check_form(info, self.form_for(info.ask_for))
            self.offered_schema = _offered_schema(self.input_schema, info.ask_for)
        self.output_schema = None if info.use_queue else _output_schema(self._signature.returns)

    def form_for(self, names: Sequence[str]) -> dict[str, Any]:
        """The schema of a form that asks for these parameters (`forms`)."""
        schema = self.input_schema
        properties = {n: schema["properties"][n] for n in names if n in schema["properties"]}
        return flat_form(properties, schema.get("required", ()), schema)

    def validate_without(self, names: Sequence[str], params: dict[str, Any]) -> None:
        """Check the given parameters before a form asks for the parameters ``names``.

        Raises InvalidParamsError and CheckFailedError.
        """
        others = [each for each in self._signature.parameters if each.name not in names]
        signature = replace(self._signature, parameters=others)
        self._contained(lambda: Arguments(self.info.name, signature, {}).check(params))

    def validate(self, params: object) -> dict[str, Any]:
        """Check the given parameters, and return them as JSON values without defaults.

        Raises InvalidParamsError, which lists the problems and the allowed values, and
        CheckFailedError.
        """
        return self._contained(lambda: self._arguments.as_json(self._check(params)))

    def call_arguments(self, params: object) -> dict[str, Any]:
        """Check the given parameters, and return them as Python values for a call in this process.

        Raises InvalidParamsError, which lists the problems and the allowed values, and
        CheckFailedError.
        """
        return self._contained(lambda: self._arguments.as_python(self._check(params)))

    def is_left_out(self, name: str, params: dict[str, Any]) -> bool:
        """Whether the caller omitted the parameter, or gave a null that its type does not allow."""
        if params.get(name) is not None:
            return False
        if name not in params:
            return True
        from mcp_queue.commands.mending import takes_null

        return not takes_null(self.input_schema["properties"].get(name, {}), self.input_schema)

    def _check(self, params: object) -> Checked:
        checked = self._arguments.check(params)
        if self._conditions is not None:
            self._conditions.check(self._arguments.with_plain_values(checked))
        return checked

    def _contained(self, check: Callable[[], T]) -> T:
        """Run ``check``. Exceptions of authors' own checks become CheckFailedError."""
        try:
            return check()
        except QueueError:
            raise
        except BaseException as error:
            if interrupts(error):
                raise
            raise CheckFailedError(command=self.info.name, cause=cause_of(error)) from error


def python_arguments(function: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """JSON values converted to the types that ``function`` is annotated with.

    For the worker. ``function`` may be an ``execute``, bound or not. Raises InvalidParamsError.
    """
    name = getattr(function, "__name__", repr(function))
    signature = read_signature(name, function, method=True)
    arguments = Arguments(name, signature, {})
    return arguments.as_python(arguments.check(params))


def _conditions(info: CommandInfo, schema: dict[str, Any]) -> Conditions | None:
    if not info.conditions:
        return None
    from mcp_queue.commands.conditions import Conditions

    return Conditions(info, schema)


def _check_form(info: CommandInfo, form: dict[str, Any]) -> None:
    unknown = [name for name in info.ask_for if name not in form["properties"]]
    fault = f"no caller gives {unknown[0]!r}" if unknown else forms.fault_in(form)
    if fault is not None:
        raise InvalidCommandError(
            command=info.name, reason=f"ask_for: the person cannot be asked by a form: {fault}"
        )


def _offered_schema(schema: dict[str, Any], ask_for: Sequence[str]) -> dict[str, Any]:
    """The input schema for clients; parameters for which the person is asked are optional."""
    properties = dict(schema["properties"])
    for name in ask_for:
        own_text = properties[name].get("description", "")
        text = f"{own_text.rstrip('.')}. {ASKED_NOTE}" if own_text else ASKED_NOTE
        properties[name] = {**properties[name], "description": text}
    required = [name for name in schema.get("required", ()) if name not in ask_for]
    others = {key: value for key, value in schema.items() if key != "required"}
    return others | {"properties": properties} | ({"required": required} if required else {})


def _output_schema(returns: Any) -> dict[str, Any] | None:
    """The schema of ``{"result": …}``; None if the type is unknown or has no schema."""
    if returns in (EMPTY, Any, object):
        return None
    try:
        result_schema = TypeAdapter[Any](returns).json_schema(
            mode="serialization", schema_generator=JsonSchema
        )
    except Exception:  # noqa: BLE001 (a type runs code of the author)
        return None
    definitions = trimmed(result_schema).pop("$defs", None)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"result": result_schema},
        "required": ["result"],
    }
    return schema | {"$defs": definitions} if definitions else schema
