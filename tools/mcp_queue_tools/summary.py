"""The summary of a project, from its map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from mcp_queue_tools.scan import Problem

SHOWN_IMPORTS = 20
SHOWN_LARGEST = 10
SHOWN_PROBLEMS = 20

_MODULES = "FROM files WHERE problem IS NULL"


def summarize(database: sqlite3.Connection, scan_problems: list[Problem]) -> dict[str, object]:
    """Totals, top lists and problems from one snapshot of the map; JSON values only."""
    database.execute("BEGIN")
    try:
        return {
            **_totals(database),
            "imports": _top_imports(database),
            "most_complex": _most_complex(database),
            "largest_modules": _largest(database),
            **_problems(database, scan_problems),
        }
    finally:
        database.execute("COMMIT")


def _totals(database: sqlite3.Connection) -> dict[str, object]:
    files = f"SELECT count(*), coalesce(sum(is_package), 0), coalesce(sum(lines), 0) {_MODULES}"
    modules, packages, lines = database.execute(files).fetchone()
    symbols = "SELECT count(*) FILTER (WHERE kind = 'class'), "
    symbols += "count(*) FILTER (WHERE kind IN ('function', 'method')) FROM symbols"
    classes, functions = database.execute(symbols).fetchone()
    return {
        "modules": modules,
        "packages": packages,
        "classes": classes,
        "functions": functions,
        "lines": lines,
    }


def _top_imports(database: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = database.execute(
        "SELECT module, count(DISTINCT file_id) AS files FROM imports GROUP BY module"
        " ORDER BY files DESC, module LIMIT ?",
        (SHOWN_IMPORTS,),
    )
    return [{"module": module, "files": files} for module, files in rows]


def _most_complex(database: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = database.execute(
        "SELECT qualified, complexity, path, line FROM symbols"
        " JOIN files ON files.id = symbols.file_id WHERE kind IN ('function', 'method')"
        " ORDER BY complexity DESC, path, line LIMIT ?",
        (SHOWN_LARGEST,),
    )
    return [
        {"name": name, "complexity": complexity, "place": f"{path}:{line}"}
        for name, complexity, path, line in rows
    ]


def _largest(database: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = database.execute(
        f"SELECT module, path, lines {_MODULES} ORDER BY lines DESC, path LIMIT ?",
        (SHOWN_LARGEST,),
    )
    return [{"module": module, "file": path, "lines": lines} for module, path, lines in rows]


def _problems(database: sqlite3.Connection, scan_problems: list[Problem]) -> dict[str, object]:
    rows = database.execute(
        "SELECT path, problem FROM files WHERE problem IS NOT NULL ORDER BY path"
    ).fetchall()
    problems = sorted([*rows, *scan_problems])
    shown = problems[:SHOWN_PROBLEMS]
    return {
        "problems": [{"path": path, "reason": reason} for path, reason in shown],
        "problem_count": len(problems),
    }
