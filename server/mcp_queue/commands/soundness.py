"""The definitions that can be offered, and the faults of the others (server side)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mcp_queue.commands.intake import intake
from mcp_queue.commands.problems import type_words
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import InvalidCommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.commands.definition import Definition
    from mcp_queue.commands.resource_info import ResourceInfo

    Fault = InvalidCommandError | None
    Info = TypeVar("Info", bound=Definition)

log = logging.getLogger(__name__)
_logged: set[Definition] = set()


def problems(catalog: Catalog) -> list[str]:
    """All faults in authors' definitions and in settings, each as a text with its place."""
    faults = [
        *(fault(info) for info in catalog),
        *(fault_of_prompt(info) for info in catalog.prompts.values()),
        *(fault_of_resource(info) for info in catalog.resources.values()),
    ]
    return [each.text for each in (*intake.problems, *faults) if each is not None]


def sound(infos: Iterable[Info], fault_of: Callable[[Info], Fault]) -> list[Info]:
    """The definitions that can be offered. The log gets the fault of each other one, once."""
    offered: list[Info] = []
    for info in infos:
        error = fault_of(info)
        if error is None:
            offered.append(info)
        elif info not in _logged:
            _logged.add(info)
            log.error("mcp-queue: %s", error.text)
    return offered


def fault(info: Definition) -> Fault:
    """The reason why a command cannot be offered: it has no schema."""
    try:
        schema_of(info)
    except InvalidCommandError as error:
        return error
    return None


def fault_of_prompt(info: Definition) -> Fault:
    """The reason why a prompt cannot be offered: its arguments have to be texts."""
    if (error := fault(info)) is not None:
        return error
    schema = schema_of(info).input_schema
    for name, part in schema["properties"].items():
        kind = type_words(part, schema)
        if kind.startswith(("array", "object")):
            reason = f"the parameter {name!r} is an {kind.split()[0]}, but the arguments of a "
            return _invalid(info, reason + "prompt are texts")
    return None


def fault_of_resource(info: ResourceInfo) -> Fault:
    """The reason why a resource cannot be offered: its address lacks a required parameter."""
    if (error := fault(info)) is not None:
        return error
    for name in schema_of(info).input_schema.get("required", ()):
        if name not in info.variables:
            return _invalid(info, f"nobody gives its parameter {name!r}")
    return None


def _invalid(info: Definition, reason: str) -> InvalidCommandError:
    error = InvalidCommandError(command=info.name, reason=reason)
    error.place = info.place
    return error
