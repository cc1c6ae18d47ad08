"""Which of the authors' resources an address means, and the parameters in it.

An address is matched from its end to its beginning, so that each place in it is looked at once for
each part of the template: a regular expression would try all ways to divide it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mcp_queue import paths
from mcp_queue.commands.resource_info import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.commands.resource_info import ResourceInfo

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_END_OF_ONE, _END_OF_MANY = re.compile(r"[/?#]|\Z"), re.compile(r"\n|\Z")


class _Piece(NamedTuple):
    literal: str
    name: str | None
    many: bool


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
    parts = _pieces(template)
    found = _divided(parts, uri)
    if found is None:
        return None
    many = {part.name for part in parts if part.many}
    values = {name: unquote(value, errors="replace") for name, value in found.items()}
    safe = all(_is_safe(value, name in many) for name, value in values.items())
    return values if safe else None


@cache
def _pieces(template: str) -> list[_Piece]:
    return [_Piece(*piece) for piece in pieces(template)]


def _divided(parts: list[_Piece], uri: str) -> dict[str, str] | None:
    """The text of each variable, the first as long as it can be, then the second, and so on."""
    if not uri.startswith(parts[0].literal):
        return None
    goals = [len(uri)]  # where what follows can begin
    ways: list[dict[int, int]] = []  # of each piece, the last first: its beginnings and its end
    for part in reversed(parts):
        ends = dict(_ways(part, uri, goals))
        ways.append(ends)
        goals = list(ends)
    found: dict[str, str] = {}
    position = 0
    for part, ends in zip(parts, reversed(ways), strict=True):
        if position not in ends:
            return None
        end = ends[position]
        if part.name is not None:
            found[part.name] = uri[position + len(part.literal) : end]
        position = end
    return found


def _ways(part: _Piece, uri: str, goals: list[int]) -> Iterator[tuple[int, int]]:
    """Each place where the piece can stand, in ascending order, and the furthest goal from it."""
    bound = _END_OF_MANY if part.many else _END_OF_ONE
    reach = -1
    start = uri.find(part.literal)
    while start >= 0:
        begin = start + len(part.literal)
        if part.name is None:
            end, shortest = begin, begin
        else:
            if reach < begin and (stop := bound.search(uri, begin)) is not None:
                reach = stop.start()
            end, shortest = reach, begin + 1
        place = bisect_right(goals, end) - 1
        if place >= 0 and goals[place] >= shortest:
            yield start, goals[place]
        start = uri.find(part.literal, start + 1)


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
