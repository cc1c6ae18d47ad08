"""Lookups in one map: symbols, imports, lines of text."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from mcp_queue_tools.ranking import INSIDE, PREFIX, fold, rank, rank_import

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_queue_tools.ranking import Query
    from mcp_queue_tools.reading import ReadableMap

LINE_LIMIT = 200  # characters shown of a line
BEFORE_MATCH = 60  # characters of a long line shown before the match
SIGNATURE_LIMIT = 400  # characters

_IN_FOLDER = "substr(path, 1, length(?)) = ?"


class Hit(NamedTuple):
    """A hit: its sort key ``order``, and its data ``facts`` for the caller."""

    order: tuple[Any, ...]
    facts: dict[str, object]


def find_symbols(
    code_map: ReadableMap, query: Query, kinds: tuple[str, ...], limit: int
) -> list[Hit]:
    """Up to ``limit`` symbols of these kinds, the best first."""
    hits: list[Hit] = []
    for step, name_id, name in _ranked_names(code_map, query):
        rows = _symbols_named(code_map, query, (name_id, name), kinds, limit - len(hits))
        for path, line, *rest in rows:
            order = (step, len(name), name, path, line)
            hits.append(Hit(order, _symbol_facts(code_map, name, path, line, *rest)))
        if len(hits) >= limit:
            break
    return hits


def find_imports(code_map: ReadableMap, query: Query, limit: int) -> list[Hit]:
    """Up to ``limit`` lines that import the name in the query, the best first."""
    targets = code_map.rows("SELECT DISTINCT module, name FROM imports")
    steps = ((rank_import(module, name, query), module, name) for module, name in targets)
    hits: dict[tuple[str, int], Hit] = {}
    for step, module, name in sorted(item for item in steps if item[0] is not None):
        rows = code_map.rows(
            "SELECT path, line, file_id FROM imports JOIN files ON files.id = file_id"
            f" WHERE imports.module = ? AND name = ? AND {_IN_FOLDER}"
            " ORDER BY path, line LIMIT ?",
            *(module, name, code_map.prefix, code_map.prefix, limit),
        )
        for path, line, file_id in rows:
            facts: dict[str, object] = {"kind": "import", "module": module}
            if name:
                facts["name"] = name
            facts |= code_map.place(file_id, path, line)
            facts["text"] = _shown(_line_of(code_map.source(file_id), line), 0)
            hits.setdefault((path, line), Hit((step, len(module), module, path, line), facts))
        if len(hits) >= limit:
            break
    return list(hits.values())


def find_text(code_map: ReadableMap, text: str, limit: int) -> Iterator[Hit]:
    """Up to ``limit`` lines that contain the text, whatever its case, by path and line."""
    wanted = text.lower()
    for path, file_id, source in _sources_with(code_map, text):
        for line, column, shown in _lines_with(source, wanted):
            facts: dict[str, object] = {"kind": "text", **code_map.place(file_id, path, line)}
            facts["text"] = _shown(shown, column)
            within = _symbol_around(code_map, file_id, line)
            if within:
                facts["within"] = within
            yield Hit((path, line), facts)
            limit -= 1
            if not limit:
                return


def _ranked_names(code_map: ReadableMap, query: Query) -> Iterator[tuple[int, int, str]]:
    """Rank, id and name of all names that match the query, the best first.

    There are two steps, because very many names contain a short query, and mostly the names that
    begin with it are enough. Each SQL condition selects all names that ``rank`` accepts in its
    step, and possibly more.
    """
    prefixed = "name = ? OR folded = ? OR substr(folded, 1, length(?)) = ?"
    values = (query.name, fold(query.name), query.compact, query.compact)
    yield from _rank_all(code_map, query, prefixed, values, range(PREFIX + 1))
    contains = " AND ".join("instr(folded, ?)" for _ in query.words)
    if contains:
        condition = f"({contains}) OR substr(initials, 1, length(?)) = ?"
        values = (*query.words, query.compact, query.compact)
        yield from _rank_all(code_map, query, condition, values, range(PREFIX + 1, INSIDE + 1))


def _rank_all(
    code_map: ReadableMap, query: Query, condition: str, values: tuple[str, ...], steps: range
) -> list[tuple[int, int, str]]:
    matches: list[tuple[int, int, str]] = []
    for name_id, name in code_map.rows(f"SELECT id, name FROM names WHERE {condition}", *values):
        step = rank(name, query)
        if step is not None and step in steps:
            matches.append((step, name_id, name))
    return sorted(matches, key=lambda match: (match[0], len(match[2]), match[2]))


def _symbols_named(
    code_map: ReadableMap, query: Query, name: tuple[int, str], kinds: tuple[str, ...], limit: int
) -> list[Any]:
    """The symbols with one name; only those of the query's owner, if it has one."""
    suffix = f".{query.owner}.{name[1]}".lower() if query.owner else ""
    return code_map.rows(
        "SELECT path, line, file_id, kind, qualified, end_line, complexity, bases, doc, methods"
        " FROM symbols JOIN files ON files.id = file_id"
        f" WHERE name_id = ? AND kind IN ({', '.join('?' * len(kinds))}) AND {_IN_FOLDER}"
        " AND (? = '' OR substr('.' || lower(qualified), -length(?)) = ?)"
        " ORDER BY path, line LIMIT ?",
        *(name[0], *kinds, code_map.prefix, code_map.prefix, suffix, suffix, suffix, limit),
    )


def _symbol_facts(
    code_map: ReadableMap,
    name: str,
    path: str,
    line: int,
    file_id: int,
    kind: str,
    qualified: str,
    end_line: int,
    complexity: int,
    bases: str,
    doc: str,
    methods: int,
) -> dict[str, object]:
    facts: dict[str, object] = {"kind": kind, "name": name, "qualified_name": qualified}
    facts |= code_map.place(file_id, path, line)
    if kind == "class":
        facts |= {"bases": json.loads(bases), "methods": methods}
    elif kind != "module":
        facts["signature"] = _signature(code_map.source(file_id), line, end_line)
        facts["complexity"] = complexity
    if doc:
        facts["doc"] = doc
    return facts


def _signature(source: str, line: int, end_line: int) -> str:
    """``def name(parameters) -> result`` of the function on these lines."""
    text = "\n".join(source.split("\n")[line - 1 : end_line])
    if text[:1].isspace():
        text = f"if 1:\n{text}"
    try:
        node: Any = ast.parse(text).body[0]
        node = node.body[0] if isinstance(node, ast.If) else node
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        start = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        signature = f"{start} {node.name}({ast.unparse(node.args)}){returns}"
    except (SyntaxError, ValueError, RecursionError, MemoryError, AttributeError):
        signature = _line_of(source, line)
    return _shown(signature, 0, SIGNATURE_LIMIT)


def _sources_with(code_map: ReadableMap, text: str) -> Iterator[Any]:
    """The files whose text contains ``text``; if it is not ASCII, possibly other files, too.

    For the standard library this takes 25 ms. A trigram index would need 1 ms, but it makes the
    first analysis a third longer, and not every SQLite has it.
    """
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%" if text.isascii() else "%"
    sql = (
        "SELECT path, file_id, text FROM files JOIN sources ON files.id = file_id"
        f" WHERE {_IN_FOLDER} AND text LIKE ? ESCAPE '\\' ORDER BY path"
    )
    return code_map.database.execute(sql, (code_map.prefix, code_map.prefix, pattern))


def _lines_with(source: str, wanted: str) -> Iterator[tuple[int, int, str]]:
    """Number, column and text of each line that contains ``wanted`` (in lower case)."""
    if wanted not in source.lower():
        return
    for number, line in enumerate(source.split("\n"), 1):
        column = line.lower().find(wanted)
        if column >= 0:
            yield number, column, line


def _symbol_around(code_map: ReadableMap, file_id: int, line: int) -> str | None:
    rows = code_map.rows(
        "SELECT qualified FROM symbols WHERE file_id = ? AND line <= ? AND end_line >= ?"
        " AND kind <> 'module' ORDER BY line DESC LIMIT 1",
        *(file_id, line, line),
    )
    return rows[0][0] if rows else None


def _line_of(source: str, line: int) -> str:
    lines = source.split("\n")
    return lines[line - 1] if line <= len(lines) else ""


def _shown(line: str, column: int, limit: int = LINE_LIMIT) -> str:
    """The line without its indentation; of a long line, the part around the match."""
    if len(line) > limit and column > BEFORE_MATCH:
        line = "…" + line[column - BEFORE_MATCH :]
    line = line.strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
