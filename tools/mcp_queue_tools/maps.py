"""The files of the code maps, and connections to them.

Each project has one SQLite file, named by a hash of its root. It is in the user's cache folder, or
in the folder that the environment variable ``MCP_QUEUE_TOOLS_CACHE`` names. Only the owner can read
it, because a map contains the source text of its project.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_queue_tools.errors import HomelessError, MapUnusableError

if TYPE_CHECKING:
    from collections.abc import Generator

CACHE_VARIABLE = "MCP_QUEUE_TOOLS_CACHE"
SCHEMA_VERSION = 2
BUSY_TIMEOUT = 30.0  # seconds that a write waits for another run's batch

_SCHEMA = """
CREATE TABLE project (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    root BLOB NOT NULL, -- as the file system has it, which need not be text
    analyzed_at REAL NOT NULL,
    complete INTEGER NOT NULL
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    module TEXT NOT NULL,
    is_package INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    settled INTEGER NOT NULL, -- 0: so fresh when read that size and mtime prove nothing
    digest BLOB,
    lines INTEGER NOT NULL,
    problem TEXT
);
CREATE TABLE sources (
    file_id INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    text TEXT NOT NULL
);
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    folded TEXT NOT NULL,
    initials TEXT NOT NULL
);
CREATE TABLE symbols (
    id INTEGER PRIMARY KEY,
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    name_id INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('module', 'class', 'method', 'function')),
    qualified TEXT NOT NULL,
    line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    complexity INTEGER NOT NULL,
    bases TEXT NOT NULL, -- JSON
    doc TEXT NOT NULL,
    methods INTEGER NOT NULL
);
CREATE INDEX symbols_by_name ON symbols (name_id, kind);
CREATE INDEX symbols_by_file ON symbols (file_id);
CREATE TABLE imports (
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    line INTEGER NOT NULL,
    module TEXT NOT NULL,
    name TEXT NOT NULL
);
CREATE INDEX imports_by_target ON imports (module, name);
CREATE INDEX imports_by_file ON imports (file_id);
"""


def folder() -> Path:
    """The folder of all maps; it need not exist."""
    setting = os.environ.get(CACHE_VARIABLE)
    if setting:
        return Path(setting).expanduser()
    import platformdirs

    try:
        path = platformdirs.user_cache_path("mcp-queue") / "maps"
    except RuntimeError:
        path = Path()
    if not path.is_absolute():
        raise HomelessError(variable=CACHE_VARIABLE)
    return path


def path_of(root: Path) -> Path:
    """The file of the map of the project at ``root`` (a resolved path); it need not exist."""
    identity = os.path.normcase(root)
    return folder() / f"{hashlib.sha256(os.fsencode(identity)).hexdigest()[:32]}.db"


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection to the map. It is made if it is missing, damaged or of another version."""
    try:
        try:
            return _open_or_make(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            # A run can make all data of a map again.
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _open_or_make(path)
    except (OSError, sqlite3.Error) as error:
        raise MapUnusableError(path=str(path), reason=error) from error


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """A connection that only reads, or None if there is no map of this version."""
    try:
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None
        )
    except sqlite3.Error:
        return None
    with suppress(sqlite3.Error):
        database.execute("PRAGMA query_only = 1")
        if _version(database) == SCHEMA_VERSION:
            return database
    database.close()
    return None


@contextmanager
def transaction(database: sqlite3.Connection) -> Generator[None]:
    """A write transaction; waits up to BUSY_TIMEOUT for the transaction of another run."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _open_or_make(path: Path) -> sqlite3.Connection:
    for each in reversed(path.absolute().parents):
        if not each.exists():
            each.mkdir(0o700, exist_ok=True)  # ``parents=True`` would let others read them
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        _enter_wal(database)
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA secure_delete = 1")
        if _version(database) != SCHEMA_VERSION:
            _make_schema(database)
        database.execute("PRAGMA foreign_keys = 1")
    except BaseException:
        database.close()
        raise
    return database


def _enter_wal(database: sqlite3.Connection) -> None:
    """Switch to a write-ahead log. Two first runs may do that at once, and SQLite does not wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _make_schema(database: sqlite3.Connection) -> None:
    with transaction(database):
        if _version(database) == SCHEMA_VERSION:
            return
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (table,) in database.execute(tables).fetchall():
            database.execute(f'DROP TABLE "{table}"')
        for statement in _SCHEMA.split(";\n"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]
