"""The code map of one project, for a run that writes it.

Every method is at most one transaction, so two runs on one project can overlap: for each file the
later run wins, and readers see complete files.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from mcp_queue_tools import maps
from mcp_queue_tools.ranking import fold, initials

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mcp_queue_tools.parse import Facts, Symbol
    from mcp_queue_tools.scan import SourceFile


class Known(NamedTuple):
    """The fields of a file in the map that show whether the file has changed."""

    module: str
    size: int
    mtime_ns: int
    settled: bool
    digest: bytes | None


class Entry(NamedTuple):
    """A file to write; without ``facts`` the content in the map is still valid."""

    file: SourceFile
    settled: bool
    digest: bytes | None
    facts: Facts | None


class CodeMap:
    """A connection to the map of the project at ``root``, for one thread; close it after use."""

    def __init__(self, root: Path) -> None:
        self.path = maps.path_of(root)
        self.database = maps.open_for_writing(self.path)
        with maps.transaction(self.database):
            self.database.execute(
                "INSERT OR IGNORE INTO project VALUES (1, ?, ?, 0)",
                (os.fsencode(root), time.time()),
            )

    def __enter__(self) -> CodeMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.database.close()

    def known(self) -> dict[str, Known]:
        """All files of the map, by path."""
        rows = self.database.execute(
            "SELECT path, module, size, mtime_ns, settled, digest FROM files"
        )
        return {path: Known(module, *rest) for path, module, *rest in rows}

    def write(self, entries: Iterable[Entry]) -> None:
        """Write the files into the map; each replaces its older version."""
        with maps.transaction(self.database):
            for entry in entries:
                if entry.facts is None:
                    self._refresh(entry)
                else:
                    self._replace(entry, entry.facts)

    def forget(self, paths: Iterable[str]) -> None:
        """Remove files from the map."""
        with maps.transaction(self.database):
            self.database.executemany(
                "DELETE FROM files WHERE path = ?", [(path,) for path in paths]
            )

    def finish(self, *, complete: bool) -> None:
        """Record the end of a run; ``complete`` is false for one that was stopped."""
        with maps.transaction(self.database):
            self.database.execute("DELETE FROM names WHERE id NOT IN (SELECT name_id FROM symbols)")
            self.database.execute(
                "UPDATE project SET analyzed_at = ?, complete = ?", (time.time(), complete)
            )

    def _refresh(self, entry: Entry) -> None:
        file = entry.file
        self.database.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, settled = ? WHERE path = ? AND digest = ?",
            (file.size, file.mtime_ns, entry.settled, file.path, entry.digest),
        )

    def _replace(self, entry: Entry, facts: Facts) -> None:
        file = entry.file
        self.database.execute("DELETE FROM files WHERE path = ?", (file.path,))
        file_id = self.database.execute(
            "INSERT INTO files (path, module, is_package, size, mtime_ns, settled, digest, lines,"
            " problem) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*file, entry.settled, entry.digest, facts.lines, facts.problem),
        ).lastrowid
        self.database.execute("INSERT INTO sources VALUES (?, ?)", (file_id, facts.text))
        self._add_symbols(file_id, facts.symbols)
        self.database.executemany(
            "INSERT INTO imports (file_id, line, module, name) VALUES (?, ?, ?, ?)",
            [(file_id, found.line, found.module, found.name) for found in facts.imports],
        )

    def _add_symbols(self, file_id: int | None, symbols: list[Symbol]) -> None:
        names = {symbol.name for symbol in symbols}
        self.database.executemany(
            "INSERT OR IGNORE INTO names (name, folded, initials) VALUES (?, ?, ?)",
            [(name, fold(name), initials(name)) for name in names],
        )
        self.database.executemany(
            "INSERT INTO symbols (file_id, name_id, kind, qualified, line, end_line, complexity,"
            " bases, doc, methods)"
            " VALUES (?, (SELECT id FROM names WHERE name = ?), ?, ?, ?, ?, ?, ?, ?, ?)",
            [_symbol_row(file_id, symbol) for symbol in symbols],
        )


def _symbol_row(file_id: int | None, symbol: Symbol) -> tuple[object, ...]:
    return (
        file_id,
        symbol.name,
        symbol.kind,
        symbol.qualified,
        symbol.line,
        symbol.end_line,
        symbol.complexity,
        json.dumps(symbol.bases) if symbol.bases else "[]",
        symbol.doc,
        symbol.methods,
    )
