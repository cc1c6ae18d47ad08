"""The maps for a search. Each search opens them anew."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_queue_tools import maps
from mcp_queue_tools.errors import MapUnusableError, NotAnalyzedError
from mcp_queue_tools.scan import find_root, printable

if TYPE_CHECKING:
    from collections.abc import Generator


class ReadableMap:
    """One map at one moment; ``prefix`` limits it to a folder of the project."""

    def __init__(self, database: sqlite3.Connection, project: tuple[bytes, float, int]) -> None:
        root, self.analyzed_at, complete = project
        self.database = database
        self.root = Path(os.fsdecode(root))
        self.complete = bool(complete)
        self.prefix = ""
        self._stale: dict[int, bool] = {}

    def rows(self, sql: str, *values: object) -> list[Any]:
        """All rows of a query."""
        return self.database.execute(sql, values).fetchall()

    def source(self, file_id: int) -> str:
        """The text of a file as it was analysed."""
        found = self.rows("SELECT text FROM sources WHERE file_id = ?", file_id)
        return found[0][0] if found else ""

    def place(self, file_id: int, path: str, line: int) -> dict[str, object]:
        """The place of a hit, and whether the file has changed since the analysis."""
        full = str(self.root / path)
        place: dict[str, object] = {"file": path, "line": line, "path": printable(full)}
        if self._is_stale(file_id, path):
            place["stale"] = True
        return place

    def _is_stale(self, file_id: int, path: str) -> bool:
        if file_id not in self._stale:
            self._stale[file_id] = self._has_changed(file_id, path)
        return self._stale[file_id]

    def _has_changed(self, file_id: int, path: str) -> bool:
        ((size, mtime_ns),) = self.rows("SELECT size, mtime_ns FROM files WHERE id = ?", file_id)
        try:
            status = (self.root / path).stat()
        except OSError:
            return True
        return (status.st_size, status.st_mtime_ns) != (size, mtime_ns)


@contextmanager
def open_maps(root_dir: str | None) -> Generator[list[ReadableMap]]:
    """The map that covers ``root_dir``, or all maps, the last analysed first.

    Raises NotAnalyzedError if there is none.
    """
    with ExitStack() as stack:
        try:
            yield _open_one(stack, root_dir) if root_dir is not None else _open_all(stack)
        except sqlite3.Error as error:
            raise MapUnusableError(path=str(maps.folder()), reason=error) from error


def _open_one(stack: ExitStack, root_dir: str) -> list[ReadableMap]:
    wanted = find_root(root_dir)
    for root in (wanted, *wanted.parents):
        found = _open(stack, maps.path_of(root))
        if found:
            if root != wanted:
                found.prefix = f"{wanted.relative_to(root).as_posix()}/"
            return [found]
    raise NotAnalyzedError(project=repr(root_dir), root_dir=root_dir)


def _open_all(stack: ExitStack) -> list[ReadableMap]:
    all_maps = [_open(stack, path) for path in maps.folder().glob("*.db")]
    current = [each for each in all_maps if each and each.root.is_dir()]
    if not current:
        raise NotAnalyzedError(project="any project", root_dir="the project's folder")
    return sorted(current, key=lambda each: each.analyzed_at, reverse=True)


def _open(stack: ExitStack, path: Path) -> ReadableMap | None:
    """The map at this moment; None if it is missing, of another version, or not yet complete."""
    database = maps.open_for_reading(path) if path.exists() else None
    if database is None:
        return None
    stack.enter_context(closing(database))
    database.execute("BEGIN")
    project = database.execute("SELECT root, analyzed_at, complete FROM project").fetchone()
    return ReadableMap(database, project) if project else None
