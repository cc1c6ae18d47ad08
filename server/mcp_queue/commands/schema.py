"""JSON Schema and validation of a command's parameters, from its signature (server side).

It imports pydantic, so a worker imports it only for a command whose parameters are not plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from mcp_queue.commands.arguments import Arguments, JsonSchema, trimmed
from mcp_queue.commands.docstrings import parameter_descriptions, summary
from mcp_queue.commands.signature import EMPTY, read_signature, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.commands.command import CommandInfo

_schemas: dict[str, CommandSchema] = {}


def schema_of(info: CommandInfo) -> CommandSchema:
    """The schema of a command, built at the first call.

    Raises InvalidCommandError if the command cannot be offered as a tool.
    """
    schema = _schemas.get(info.name)
    if schema is None or schema.info is not info:
        schema = _schemas[info.name] = CommandSchema(info)
    return schema


class CommandSchema:
    """What a command takes and gives.

    ``inject`` maps parameters that are not the caller's to what they get: ``job``, ``context`` or
    ``queue``. ``plain`` is true if JSON values can be passed to the command as they are.
    ``output_schema`` is None where nothing is promised of the result. ``summary`` is what an agent
    reads.
    """

    def __init__(self, info: CommandInfo) -> None:
        signature = signature_of(info)
        self.info = info
        self.inject = signature.inject
        self.summary = summary(info.description) or info.title
        self._arguments = Arguments(info.name, signature, parameter_descriptions(info.docstrings))
        self.plain = self._arguments.plain
        self.input_schema = self._arguments.schema
        self.output_schema = None if info.use_queue else _output_schema(signature.returns)

    def validate(self, params: object) -> dict[str, Any]:
        """The parameters given, checked and ready to be written as JSON; defaults are left out.

        Raises InvalidParamsError, which lists what is wrong and says what is allowed.
        """
        return self._arguments.for_json(params)

    def call_arguments(self, params: object) -> dict[str, Any]:
        """The parameters given, checked, as Python values for a call in this process.

        Raises InvalidParamsError, which lists what is wrong and says what is allowed.
        """
        return self._arguments.for_python(params)


def python_arguments(function: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """JSON values as the Python values that the annotations of ``function`` ask for.

    For the worker. ``function`` may be an ``execute``, bound or not. Raises InvalidParamsError.
    """
    name = getattr(function, "__name__", repr(function))
    signature = read_signature(name, function, method=True)
    return Arguments(name, signature, {}).for_python(params)


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
