"""Prompts: functions of authors that return messages to a model, at the request of the person."""

from __future__ import annotations

from mcp_queue.commands.catalog import registry as catalog
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
    """Make a function a prompt, with ``@prompt`` or ``@prompt(...)``. It returns the function.

    The function returns the messages to the model: a text, an `Image`, an `Audio`, a `File`, a
    `Link`, or a list of them, each as a message of the user; `mcp_types.PromptMessage` and
    `GetPromptResult` are sent unchanged. The person fills in the parameters. They come as texts and
    are converted to the annotated types; the values of a ``Literal`` are offered as completions.
    The function runs in the server, so it should be fast. ``name``: by default the function's. The
    person sees ``title`` and ``description`` (by default the docstring).

    Raises InvalidCommandError, or DuplicateCommandError if another prompt has the name.
    See specification 2026-07-28, server/prompts.
    """

    def add(function: Any) -> None:
        own_name = name or getattr(function, "__name__", repr(function))
        if isinstance(function, type) or not callable(function):
            raise InvalidCommandError(command=own_name, reason="@prompt is for functions")
        check_options(own_name, unknown, ("name", "title", "description"))
        catalog.register_prompt(Definition(own_name, function, title=title, descr=description))

    def register(function: Any) -> Any:
        define(lambda: add(function))
        return function

    if isinstance(fn, str):  # the decorated function stays usable
        refuse(fn, f"its name is an option: write @prompt(name={fn!r})")
        return lambda function: function  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]
    return register if fn is None else register(fn)
