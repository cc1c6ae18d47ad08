"""Which of the authors' resources an address means, and the parameters in it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mcp_queue import paths
from mcp_queue.commands.resource import pieces

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.commands.resource import ResourceInfo

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def match(catalog: Catalog, uri: str) -> tuple[ResourceInfo, dict[str, str]] | None:
    """The resource of this address and the parameters, decoded once; None if there is none.

    One without parameters comes first, then the templates in the order of their definition.
    """
    info = catalog.resources.get(uri)
    if info is not None and not info.variables:
        return info, {}
    for info in catalog.resources.values():
        if info.variables and (values := _values(info.uri, uri)) is not None:
            return info, values
    return None


def _values(template: str, uri: str) -> dict[str, str] | None:
    found = _pattern(template).fullmatch(uri)
    if found is None:
        return None
    many = {name for _, name, many in pieces(template) if many}
    values = {name: unquote(value, errors="replace") for name, value in found.groupdict().items()}
    safe = all(_is_safe(value, name in many) for name, value in values.items())
    return values if safe else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts: list[str] = []
    for literal, name, many in pieces(template):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P<{name}>{'.+' if many else '[^/?#]+'})")
    return re.compile("".join(parts))


def _is_safe(value: str, many: bool, *, windows: bool = paths.WINDOWS) -> bool:
    """Whether a function may make a path of it that stays below a folder of its own.

    Links in that folder are the function's concern (`mcp_queue.paths`).
    """
    if windows and paths.fault_of(value, windows=True) is not None:
        return False
    segments = re.split(r"[/\\]", value)
    if _CONTROL.search(value) or ".." in segments or "." in segments:
        return False
    return bool(segments[0]) if many else len(segments) == 1
