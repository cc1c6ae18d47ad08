"""JSON Schema and validation of a command's parameters, from its signature (server side).

It imports pydantic, so a worker imports it only for a command whose parameters are not plain.
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

ASKED = "If left out, the user is asked."

_schemas: dict[Definition, CommandSchema | InvalidCommandError] = {}


def schema_of(info: Definition) -> CommandSchema:
    """The schema of a command, built at the first call.

    Raises InvalidCommandError if the command cannot be offered as a tool.
    """
    schema = _schemas.get(info)
    if schema is None:
        schema = _schemas[info] = _built(info)
    if isinstance(schema, InvalidCommandError):
        raise schema.with_traceback(None)
    return schema


def _built(info: Definition) -> CommandSchema | InvalidCommandError:
    """An annotation, a default or a type runs code of the author's, which may raise anything."""
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
    """What a command takes and gives.

    ``inject`` maps parameters that are not the caller's to what they get: ``job``, ``context`` or
    ``queue``. ``offered_schema`` is the input schema that clients get, in which what the person is
    asked for may be left out. ``plain`` is true if JSON values can be passed to the command as they
    are. ``output_schema`` is None where nothing is promised of the result. ``summary`` is what an
    agent reads.
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
            self.offered_schema = _offered(self.input_schema, info.ask_for)
        self.output_schema = None if info.use_queue else _output_schema(self._signature.returns)

    def form_for(self, names: Sequence[str]) -> dict[str, Any]:
        """The schema of a form for these parameters (`forms`)."""
        schema = self.input_schema
        properties = {n: schema["properties"][n] for n in names if n in schema["properties"]}
        return flat_form(properties, schema.get("required", ()), schema)

    def validate_without(self, names: Sequence[str], params: dict[str, Any]) -> None:
        """Check what is given before the parameters ``names`` are asked for.

        Raises InvalidParamsError and CheckFailedError.
        """
        kept = [each for each in self._signature.parameters if each.name not in names]
        signature = replace(self._signature, parameters=kept)
        self._guarded(lambda: Arguments(self.info.name, signature, {}).checked(params))

    def validate(self, params: object) -> dict[str, Any]:
        """The parameters given, checked and ready to be written as JSON; defaults are left out.

        Raises InvalidParamsError, which lists what is wrong and says what is allowed, and
        CheckFailedError.
        """
        return self._guarded(lambda: self._arguments.as_json(self._checked(params)))

    def call_arguments(self, params: object) -> dict[str, Any]:
        """The parameters given, checked, as Python values for a call in this process.

        Raises InvalidParamsError, which lists what is wrong and says what is allowed, and
        CheckFailedError.
        """
        return self._guarded(lambda: self._arguments.as_python(self._checked(params)))

    def is_left_out(self, name: str, params: dict[str, Any]) -> bool:
        """Whether the caller gave no such parameter, or null where null is no value."""
        if params.get(name) is not None:
            return False
        if name not in params:
            return True
        from mcp_queue.commands.mending import takes_null

        return not takes_null(self.input_schema["properties"].get(name, {}), self.input_schema)

    def _checked(self, params: object) -> Checked:
        checked = self._arguments.checked(params)
        if self._conditions is not None:
            self._conditions.check(self._arguments.as_it_counts(checked))
        return checked

    def _guarded(self, check: Callable[[], T]) -> T:
        """The types' own checks are code of authors, which may raise anything."""
        try:
            return check()
        except QueueError:
            raise
        except BaseException as error:
            if interrupts(error):
                raise
            raise CheckFailedError(command=self.info.name, cause=cause_of(error)) from error


def python_arguments(function: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """JSON values as the Python values that the annotations of ``function`` ask for.

    For the worker. ``function`` may be an ``execute``, bound or not. Raises InvalidParamsError.
    """
    name = getattr(function, "__name__", repr(function))
    signature = read_signature(name, function, method=True)
    arguments = Arguments(name, signature, {})
    return arguments.as_python(arguments.checked(params))


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


def _offered(schema: dict[str, Any], ask_for: Sequence[str]) -> dict[str, Any]:
    """The input schema as clients see it: what the person is asked for may be left out."""
    properties = dict(schema["properties"])
    for name in ask_for:
        before = properties[name].get("description", "")
        text = f"{before.rstrip('.')}. {ASKED}" if before else ASKED
        properties[name] = {**properties[name], "description": text}
    required = [name for name in schema.get("required", ()) if name not in ask_for]
    kept = {key: value for key, value in schema.items() if key != "required"}
    return kept | {"properties": properties} | ({"required": required} if required else {})


def _output_schema(returns: Any) -> dict[str, Any] | None:
    """The schema of ``{"result": …}``, or None for a type that says nothing or has none."""
    if returns in (EMPTY, Any, object):
        return None
    try:
        found = TypeAdapter[Any](returns).json_schema(
            mode="serialization", schema_generator=JsonSchema
        )
    except Exception:  # noqa: BLE001 (a type runs code of the author's)
        return None
    definitions = trimmed(found).pop("$defs", None)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"result": found},
        "required": ["result"],
    }
    return schema | {"$defs": definitions} if definitions else schema
