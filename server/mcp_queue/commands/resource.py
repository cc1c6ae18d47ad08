"""Resources: what an author lets clients read under an address, as a function."""

from __future__ import annotations

from mcp_queue.commands.catalog import registry
from mcp_queue.commands.intake import check_options, define, refuse
from mcp_queue.commands.resource_info import ResourceInfo
from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Never, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS = ("name", "title", "description", "mime_type", "updated_by")


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
        shown: dict[str, Any] = {"descr": description, "title": title, "mime_type": mime_type}
        registry.register_resource(ResourceInfo(uri, own, function, updated_by=updated_by, **shown))

    def register(function: Any) -> Any:
        define(lambda: add(function))
        return function

    if callable(uri):
        what = getattr(uri, "__name__", repr(uri))
        refuse(what, "its address is missing: write @resource('notes://today')")
        return uri
    return register
