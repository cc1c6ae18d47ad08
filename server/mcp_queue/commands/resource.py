"""Resources: what an author lets clients read under an address, as a function."""

from __future__ import annotations

from mcp_queue.commands.catalog import registry
from mcp_queue.commands.definitions import check_options, define, refuse
from mcp_queue.commands.info import CommandInfo, accepts
from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Never, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS = ("name", "title", "description", "mime_type", "updated_by")
QUEUE = "queue://"  # begins the addresses of the queue itself
_SCHEME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.")


def resource(
    uri: str,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    updated_by: str | Sequence[str] = (),
    **unknown: Never,
) -> Callable[[Function], Function]:
    """Make a function the resource ``uri``, or with ``{parameters}`` in it a template of many.

    ``{day}`` stands for one segment of a path, ``{+path}`` for several; both reach the function
    decoded. A value that would climb (``..``, a slash within a segment) leads nowhere; a function
    that opens files by it asks `mcp_queue.paths` for them, since a link may lead out of a folder.

    It returns a text, bytes, an `Image`, an `Audio`, a `File`, or any other value, which is sent as
    JSON; None says that there is no such resource. It runs in the server, each time it is read.
    ``mime_type``: found by the value, unless given. ``updated_by``: the commands that change it;
    who subscribed to it is told each time that one of them has run. ``name``: the function's,
    unless given; ``title`` and ``description`` (the docstring) are shown.

    Raises InvalidCommandError, or DuplicateCommandError if another resource has the address.
    See specification 2026-07-28, server/resources, and RFC 6570, section 3.2.2 and 3.2.3.
    """

    def add(function: Any) -> None:
        own = name or getattr(function, "__name__", repr(function))
        if isinstance(function, type) or not callable(function):
            raise InvalidCommandError(command=own, reason="@resource is for functions")
        check_options(own, unknown, OPTIONS)
        info = ResourceInfo(uri, own, function, descr=description, title=title)
        info.mime_type = _mime_type(own, mime_type)
        info.updated_by = _commands(own, updated_by)
        registry.register_resource(info)

    def register(function: Any) -> Any:
        define(lambda: add(function))
        return function

    if callable(uri):
        what = getattr(uri, "__name__", repr(uri))
        refuse(what, "its address is missing: write @resource('notes://today')")
        return uri
    return register


class ResourceInfo(CommandInfo):
    """What is known of a resource; ``variables`` are the parameters in its ``uri``."""

    __slots__ = ("mime_type", "updated_by", "uri", "variables")

    def __init__(self, uri: str, name: str, target: Callable[..., Any], **shown: Any) -> None:
        super().__init__(name, target, **shown)
        self.uri = uri
        self.variables = _variables(name, uri)
        self.mime_type: str | None = None
        self.updated_by: tuple[str, ...] = ()
        for variable in self.variables:
            if not accepts(target, variable):
                raise InvalidCommandError(
                    command=name, reason=f"its address has {{{variable}}}, but no such parameter"
                )


def pieces(uri: str) -> list[tuple[str, str | None, bool]]:
    """What a template consists of: a literal text, the variable after it, and whether that one
    stands for several segments. Raises ValueError, which says what is wrong."""
    found: list[tuple[str, str | None, bool]] = []
    rest = uri
    while rest:
        literal, brace, rest = rest.partition("{")
        if "}" in literal:
            raise ValueError("it has a '}' without a '{'")
        expression, closing, rest = rest.partition("}")
        many = expression.startswith("+")
        variable = expression[1:] if many else expression
        if brace and not (closing and variable.isidentifier()):
            raise ValueError(f"{{{expression}{closing} is neither {{name}} nor {{+name}}")
        found.append((literal, variable if brace else None, many))
    return found


def _variables(name: str, uri: object) -> tuple[str, ...]:
    if not isinstance(uri, str):
        raise InvalidCommandError(command=name, reason=f"its address is a text, got {uri!r}")
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest or not scheme[:1].isalpha() or not _SCHEME.issuperset(scheme):
        reason = f"its address begins with a scheme, as in notes://today, got {uri!r:.200}"
    elif uri.startswith(QUEUE):
        reason = f"addresses that begin with {QUEUE} are the queue's own; choose another scheme"
    else:
        try:
            found = [variable for _, variable, _ in pieces(uri) if variable is not None]
        except ValueError as error:
            reason = f"in its address {uri!r:.200}, {error}"
        else:
            if len(set(found)) == len(found):
                return tuple(found)
            reason = f"its address {uri!r:.200} names a parameter twice"
    raise InvalidCommandError(command=name, reason=reason)


def _mime_type(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and "/" in value.strip("/")):
        return value
    reason = f"mime_type is a text such as 'text/markdown', got {value!r:.80}"
    raise InvalidCommandError(command=name, reason=reason)


def _commands(name: str, given: Any) -> tuple[str, ...]:
    names: Any = (given,) if isinstance(given, str) else given
    if isinstance(names, (tuple, list)) and all(isinstance(each, str) for each in names):  # pyright: ignore[reportUnknownVariableType]
        return tuple(str(each) for each in names)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    reason = f"updated_by is the name of a command, or a tuple of names, got {given!r:.80}"
    raise InvalidCommandError(command=name, reason=reason)
