"""The two searches: put the hits of all maps in order, and say how old they are."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from mcp_queue_tools.errors import WrongValueError
from mcp_queue_tools.lookup import Hit, find_imports, find_symbols, find_text
from mcp_queue_tools.ranking import read_query
from mcp_queue_tools.reading import open_maps
from mcp_queue_tools.scan import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_queue_tools.reading import ReadableMap

MOST_HITS = 200
LONGEST = 1000  # characters of a query, each word of which is sought on its own

_KINDS = {
    "any": ("class", "function", "method", "module"),
    "class": ("class",),
    "function": ("function", "method"),
    "module": ("module",),
    "import": (),
    "text": (),
}


def search_classes(query: str, root_dir: str | None, limit: int) -> dict[str, object]:
    """Classes whose names answer the query, the best first."""
    return search_code(query, root_dir, "class", limit)


def search_code(query: str, root_dir: str | None, kind: str, limit: int) -> dict[str, object]:
    """Definitions, then imports, then lines of text that answer the query, as ``kind`` says."""
    if not query.strip():
        raise WrongValueError(name="query", value=query, reason="it is empty")
    if len(query) > LONGEST:
        reason = f"it has {len(query):,} characters, {LONGEST:,} at most are sought"
        raise WrongValueError(name="query", value=query[:80], reason=reason)
    limit = max(1, min(limit, MOST_HITS))
    with open_maps(root_dir) as opened:
        found = _distinct(_hits(opened, query, kind, limit + 1), limit + 1)
        return {
            "query": query,
            "hits": [hit.facts for hit in found[:limit]],
            "more": len(found) > limit,
            **_age(opened),
        }


def _hits(maps: list[ReadableMap], query: str, kind: str, limit: int) -> Iterator[Hit]:
    """Lazily: the search of text, the slowest, starts only if the others did not find enough."""
    asked = read_query(query)
    if _KINDS[kind]:
        yield from _best(find_symbols(each, asked, _KINDS[kind], limit) for each in maps)
    if kind in ("any", "import"):
        yield from _best(find_imports(each, asked, limit) for each in maps)
    if kind in ("any", "text"):
        for each in maps:
            yield from find_text(each, query.strip(), limit)


def _best(hits: Iterable[list[Hit]]) -> list[Hit]:
    return sorted((hit for found in hits for hit in found), key=lambda hit: hit.order)


def _distinct(hits: Iterator[Hit], limit: int) -> list[Hit]:
    """One hit a line: a definition is not shown again as text, nor a file of two maps twice."""
    found: dict[tuple[object, object], Hit] = {}
    for hit in hits:
        found.setdefault((hit.facts["path"], hit.facts["line"]), hit)
        if len(found) == limit:
            break
    return list(found.values())


def _age(maps: list[ReadableMap]) -> dict[str, object]:
    """When the maps were made (of several, the oldest), and whether runs were cut short."""
    oldest = min(each.analyzed_at for each in maps)
    moment = datetime.datetime.fromtimestamp(oldest, datetime.UTC)
    return {
        "analyzed_at": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "complete": all(each.complete for each in maps),
        "roots": [printable(str(each.root)) for each in maps],
    }
