"""The two searches: they sort the hits of all maps, and add the age of the maps."""

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
LONGEST = 1000  # characters of a query; each word of it is searched separately

_KINDS = {
    "any": ("class", "function", "method", "module"),
    "class": ("class",),
    "function": ("function", "method"),
    "module": ("module",),
    "import": (),
    "text": (),
}


def search_classes(query: str, root_dir: str | None, limit: int) -> dict[str, object]:
    """Classes whose names match the query, the best first."""
    return search_code(query, root_dir, "class", limit)


def search_code(query: str, root_dir: str | None, kind: str, limit: int) -> dict[str, object]:
    """Definitions, then imports, then lines of text that match the query and ``kind``."""
    if not query.strip():
        raise WrongValueError(name="query", value=query, reason="it is empty")
    if len(query) > LONGEST:
        reason = f"it has {len(query):,} characters, {LONGEST:,} at most are sought"
        raise WrongValueError(name="query", value=query[:80], reason=reason)
    limit = max(1, min(limit, MOST_HITS))
    with open_maps(root_dir) as maps:
        hits = _distinct(_hits(maps, query, kind, limit + 1), limit + 1)
        return {
            "query": query,
            "hits": [hit.facts for hit in hits[:limit]],
            "more": len(hits) > limit,
            **_age(maps),
        }


def _hits(maps: list[ReadableMap], query: str, kind: str, limit: int) -> Iterator[Hit]:
    """The hits, lazily: the slow text search starts only if the others did not find enough."""
    name_query = read_query(query)
    if _KINDS[kind]:
        yield from _sorted(find_symbols(each, name_query, _KINDS[kind], limit) for each in maps)
    if kind in ("any", "import"):
        yield from _sorted(find_imports(each, name_query, limit) for each in maps)
    if kind in ("any", "text"):
        for each in maps:
            yield from find_text(each, query.strip(), limit)


def _sorted(lists: Iterable[list[Hit]]) -> list[Hit]:
    return sorted((hit for hits in lists for hit in hits), key=lambda hit: hit.order)


def _distinct(hits: Iterator[Hit], limit: int) -> list[Hit]:
    """One hit per line: a definition is not repeated as text, nor a file that is in two maps."""
    by_line: dict[tuple[object, object], Hit] = {}
    for hit in hits:
        by_line.setdefault((hit.facts["path"], hit.facts["line"]), hit)
        if len(by_line) == limit:
            break
    return list(by_line.values())


def _age(maps: list[ReadableMap]) -> dict[str, object]:
    """The time of the oldest analysis, and whether all runs were complete."""
    oldest = min(each.analyzed_at for each in maps)
    moment = datetime.datetime.fromtimestamp(oldest, datetime.UTC)
    return {
        "analyzed_at": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "complete": all(each.complete for each in maps),
        "roots": [printable(str(each.root)) for each in maps],
    }
