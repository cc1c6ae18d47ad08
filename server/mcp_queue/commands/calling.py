"""How a command is called, in whatever process: its function, and what it gets beside its params.

Standard library only; workers use it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from mcp_queue.commands.definition import Definition
    from mcp_queue.commands.job import Job


def function_of(info: Definition) -> Callable[..., Any]:
    """The function to call; of a class, the method ``execute`` of a new object."""
    return info.target().execute if info.is_class else info.target


def injected(
    inject: Mapping[str, str], *, job: Job | None = None, context: object = None, queue: Any = None
) -> dict[str, Any]:
    """The arguments that no caller gives. ``inject``: see `schema.CommandSchema`."""
    given = {"job": job, "context": context, "queue": queue}
    return {parameter: given[what] for parameter, what in inject.items()}
