"""Prompts: what an author lets a person ask of a model, as a function."""

from __future__ import annotations

from mcp_queue.commands.catalog import registry
from mcp_queue.commands.definition import Definition
from mcp_queue.commands.intake import check_options, define, refuse
from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, overload

    Function = TypeVar("Function", bound=Callable[..., Any])

if TYPE_CHECKING:

    @overload
    def prompt(fn: Function, /) -> Function: ...

    @overload
    def prompt(
        *, name: str | None = None, title: str | None = None, description: str | None = None
    ) -> Callable[[Function], Function]: ...


def prompt(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    **unknown: Any,
) -> Any:
    """Make a function a prompt, bare (``@prompt``) or with options; the function stays as it is.

    It returns what the model is told: a text, an `Image`, an `Audio`, a `File`, a `Link`, or a list
    of them, each a message of the user; `mcp_types.PromptMessage` and `GetPromptResult` go out as
    they are. Its parameters are the arguments that the person fills in; they come as texts and
    are made what their annotations say, and a ``Literal`` completes. It runs in the server, so it
    had better be quick. ``name``: the function's, unless given; ``title`` and ``description`` (the
    docstring) are shown to the person.

    Raises InvalidCommandError, or DuplicateCommandError if another prompt has the name.
    See specification 2026-07-28, server/prompts.
    """

    def add(function: Any) -> None:
        own = name or getattr(function, "__name__", repr(function))
        if isinstance(function, type) or not callable(function):
            raise InvalidCommandError(command=own, reason="@prompt is for functions")
        check_options(own, unknown, ("name", "title", "description"))
        registry.register_prompt(Definition(own, function, title=title, descr=description))

    def register(function: Any) -> Any:
        define(lambda: add(function))
        return function

    if isinstance(fn, str):  # whatever it is used on stays as it is
        refuse(fn, f"its name is an option: write @prompt(name={fn!r})")
        return lambda function: function  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]
    return register if fn is None else register(fn)
