"""Resources: functions of authors whose values clients read under an address."""

from __future__ import annotations

from mcp_queue.commands.catalog import registry as catalog
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
    """Make a function the resource ``uri``, or a template of many if it has ``{parameters}``.

    ``{day}`` stands for one segment of a path, ``{+path}`` for several; the function gets the
    decoded values. A value that climbs (``..``, a slash within a segment) gives no resource. A
    function that opens files by such a value should use `mcp_queue.paths`, since a link may lead
    out of a folder.

    The function returns a text, bytes, an `Image`, an `Audio`, a `File`, or any other value, which
    is sent as JSON; None means that there is no such resource. It runs in the server at each read.
    ``mime_type``: by default determined by the value. ``updated_by``: the commands that change the
    resource; subscribers get a notification after each run of one. ``name``: by default the
    function's. Clients see ``title`` and ``description`` (by default the docstring).

    Raises InvalidCommandError, or DuplicateCommandError if another resource has the address.
    See specification 2026-07-28, server/resources, and RFC 6570, section 3.2.2 and 3.2.3.
    """

    def add(function: Any) -> None:
        own_name = name or getattr(function, "__name__", repr(function))
        if isinstance(function, type) or not callable(function):
            raise InvalidCommandError(command=own_name, reason="@resource is for functions")
        check_options(own_name, unknown, OPTIONS)
        shown: dict[str, Any] = {"descr": description, "title": title, "mime_type": mime_type}
        catalog.register_resource(
            ResourceInfo(uri, own_name, function, updated_by=updated_by, **shown)
        )

    def register(function: Any) -> Any:
        define(lambda: add(function))
        return function

    if callable(uri):
        what = getattr(uri, "__name__", repr(uri))
        refuse(what, "its address is missing: write @resource('notes://today')")
        return uri
    return register
