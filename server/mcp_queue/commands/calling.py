"""Calling a command in any process: its function, and the arguments that it gets from the queue.

Standard library only, since workers import it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from mcp_queue.commands.definition import Definition
    from mcp_queue.commands.job import Job


def function_of(info: Definition) -> Callable[..., Any]:
    """The function to call. For a class it is the method ``execute`` of a new object."""
    return info.target().execute if info.is_class else info.target


def injected(
    inject: Mapping[str, str], *, job: Job | None = None, context: object = None, queue: Any = None
) -> dict[str, Any]:
    """The arguments that callers do not give. ``inject``: see `schema.CommandSchema`."""
    objects = {"job": job, "context": context, "queue": queue}
    return {parameter: objects[kind] for parameter, kind in inject.items()}
