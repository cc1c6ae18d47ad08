"""Find the author's resource that a URI names, and the parameters in the URI.

A URI is matched from its end to its beginning. So each position is visited once for each part of
the template. A regular expression would try all ways to split the URI.
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
    """The resource that the URI names and its decoded parameters; None if there is none.

    A resource without parameters wins; then the templates in the order of their definition.
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
    texts = _split(parts, uri)
    if texts is None:
        return None
    many = {part.name for part in parts if part.many}
    values = {name: unquote(text, errors="replace") for name, text in texts.items()}
    safe = all(_is_safe(value, name in many) for name, value in values.items())
    return values if safe else None


@cache
def _pieces(template: str) -> list[_Piece]:
    return [_Piece(*piece) for piece in pieces(template)]


def _split(parts: list[_Piece], uri: str) -> dict[str, str] | None:
    """The text of each variable: the longest possible for the first, then for the second, ..."""
    if not uri.startswith(parts[0].literal):
        return None
    starts = [len(uri)]  # positions where the next piece can start
    matches: list[dict[int, int]] = []  # for each piece, the last first: start positions and ends
    for part in reversed(parts):
        ends = dict(_matches(part, uri, starts))
        matches.append(ends)
        starts = list(ends)
    texts: dict[str, str] = {}
    position = 0
    for part, ends in zip(parts, reversed(matches), strict=True):
        if position not in ends:
            return None
        end = ends[position]
        if part.name is not None:
            texts[part.name] = uri[position + len(part.literal) : end]
        position = end
    return texts


def _matches(part: _Piece, uri: str, next_starts: list[int]) -> Iterator[tuple[int, int]]:
    """Each position where the piece can start, ascending, with the last end that it can have.

    A piece ends where the next piece can start (``next_starts``).
    """
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
        index = bisect_right(next_starts, end) - 1
        if index >= 0 and next_starts[index] >= shortest:
            yield start, next_starts[index]
        start = uri.find(part.literal, start + 1)


def _is_safe(value: str, many: bool, *, windows: bool = paths.WINDOWS) -> bool:
    """Whether a path made from the value stays below the folder of the function that uses it.

    The function has to handle links in that folder itself (`mcp_queue.paths`).
    """
    if windows and paths.fault_of(value, windows=True) is not None:
        return False
    segments = re.split(r"[/\\]", value)
    if _CONTROL.search(value) or ".." in segments or "." in segments:
        return False
    return bool(segments[0]) if many else len(segments) == 1
