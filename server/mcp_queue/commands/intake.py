"""Recording of authors' definitions: a faulty one is refused by itself, not with its whole file."""

from __future__ import annotations

import os
import sys

from mcp_queue.errors import InvalidCommandError, QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from mcp_queue.commands.plugins import Plugin

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Intake:
    """The state and the results of the loading of commands in this process.

    While commands are loaded, ``source`` is their origin (``{"module": …}`` or ``{"file": …}``).
    While ``loading_plugins`` is true, a definition is left out if its name is taken, and cannot
    remove earlier commands. ``plugins`` are the packages that were found. ``problems`` are the
    errors of loading, of definitions and of settings.
    """

    def __init__(self) -> None:
        self.source: dict[str, str] | None = None
        self.loading_plugins = False
        self.problems: list[QueueError] = []
        self.plugins: list[Plugin] = []


intake = Intake()


def define(add: Callable[[], None]) -> None:
    """Call ``add``, which adds a definition to the catalog or raises a QueueError.

    While a module is loaded for its commands, the error is recorded with its place, and the rest
    of the module is loaded. Otherwise the error is raised.
    """
    try:
        add()
    except QueueError as error:
        if intake.source is None:
            raise
        error.place = _place()
        intake.problems.append(error)


def refuse(what: object, reason: str) -> None:
    """Refuse a definition as `define` does. ``what`` names it."""

    def fail() -> None:
        raise InvalidCommandError(command=what, reason=reason)

    define(fail)


def check_options(name: object, options: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises InvalidCommandError for an unknown option."""
    names = sorted(known)
    for option in options:
        if option not in names:
            from mcp_queue.commands.near import near

            similar = near(option, names, 1)
            hint = f"there are {', '.join(names)}"
            if similar:
                hint = f"perhaps {similar[0]!r} is meant"
            raise InvalidCommandError(command=name, reason=f"it has no option {option!r}; {hint}")


def _place() -> str | None:
    """The place in the author's code that makes the current definition."""
    frame = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame is not None else None
