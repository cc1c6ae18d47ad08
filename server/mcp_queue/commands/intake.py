"""Taking in what authors define: what is ill defined is refused alone, not with its whole file."""

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
    """The loading of commands in this process: what goes on, and what came of it.

    While commands are loaded, ``source`` says where from (``{"module": …}`` or ``{"file": …}``),
    and ``gives_way`` that what is loaded yields to commands of the same name that came before and
    takes nothing away. ``plugins`` are the packages that were found. ``problems`` are what could
    not be loaded, and what is wrong with what surrounds the commands.
    """

    def __init__(self) -> None:
        self.source: dict[str, str] | None = None
        self.gives_way = False
        self.problems: list[QueueError] = []
        self.plugins: list[Plugin] = []


intake = Intake()


def define(add: Callable[[], None]) -> None:
    """Call ``add``, which adds something to the catalog or raises a QueueError.

    While a module is loaded for its commands the error is noted, with its place, and the rest of
    the module is taken in; otherwise it is raised.
    """
    try:
        add()
    except QueueError as error:
        if intake.source is None:
            raise
        error.place = _place()
        intake.problems.append(error)


def refuse(what: object, reason: str) -> None:
    """`define` what cannot be: ``what`` names it."""

    def fail() -> None:
        raise InvalidCommandError(command=what, reason=reason)

    define(fail)


def check_options(name: object, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises InvalidCommandError for an option that there is none of."""
    names = sorted(known)
    for option in given:
        if option not in names:
            from mcp_queue.commands.near import near

            found = near(option, names, 1)
            rest = f"perhaps {found[0]!r} is meant" if found else f"there are {', '.join(names)}"
            raise InvalidCommandError(command=name, reason=f"it has no option {option!r}; {rest}")


def _place() -> str | None:
    """Where the code of an author's stands that defines something now."""
    frame = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame is not None else None
