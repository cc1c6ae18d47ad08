"""Conditions on several parameters of a command, which types cannot express (server side).

They are keywords of JSON Schema 2020-12 in the command's input schema (specification 2026-07-28,
server/tools). Only commands with conditions import this module, since it imports jsonschema.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from mcp_queue.commands import patterns, problems
from mcp_queue.errors import InvalidCommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_queue.commands.info import CommandInfo

MESSAGE_LIMIT = 400  # characters for one error, whose message may contain the value
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Conditions:
    """The conditions of one command. Raises InvalidCommandError if they are no JSON Schema."""

    def __init__(self, info: CommandInfo, schema: Mapping[str, Any]) -> None:
        keywords = info.conditions
        try:
            json.dumps(keywords, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            reason = f"conditions cannot be written as JSON: {error}"
            raise InvalidCommandError(command=info.name, reason=reason) from None
        try:
            Draft202012Validator.check_schema(keywords)
        except SchemaError as error:
            where = "/".join(map(str, error.absolute_path))
            raise InvalidCommandError(
                command=info.name, reason=f"conditions/{where}: {error.message:.200}"
            ) from None
        if (fault := patterns.fault_in(keywords)) is not None:
            raise InvalidCommandError(command=info.name, reason=f"conditions: {fault}")
        self._command = info.name
        self._schema = schema
        definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
        self._validator: Any = patterns.Validator({**definitions, **keywords})
        self.keywords = {"$schema": DIALECT, **keywords}

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise InvalidParamsError unless all conditions hold. Defaults are not considered."""
        errors = islice(self._validator.iter_errors(params), problems.MAX_DESCRIBED)
        sentences = [_sentence(error) for error in errors]
        if sentences:
            raise problems.invalid(
                self._command, list(dict.fromkeys(sentences)), dict(self._schema)
            )


def _sentence(error: Any) -> str:
    """The problem in words; of several alternatives, the problem of each."""
    if error.validator in ("anyOf", "oneOf") and error.context:
        alternatives: dict[object, list[str]] = {}
        for each in error.context:
            alternatives.setdefault(each.schema_path[0], []).append(_sentence(each))
        return ", or ".join(" and ".join(way) for way in alternatives.values())
    path = "".join(f"[{step!r}]" for step in error.absolute_path)
    message = str(error.message)[:MESSAGE_LIMIT]
    if error.validator == "not":
        message = f"{problems.short(error.instance)} is not allowed"
    return f"{path}: {message}" if path else message
