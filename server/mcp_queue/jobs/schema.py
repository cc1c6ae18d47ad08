"""The schema of a registry: `schema.sql`, its version, and the conversion of older registries.

A schema is code: foreign triggers and defaults could answer questions, or keep removed data. So a
registry of this version is used only if its schema is exactly this one, and only the rows of an
older registry are copied.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 2
DIGEST = "3bfd4da1861348fa79c876a09a28558257600d29ff6523d4d6957a3a869eb40e"
"""The `digest` of the schema of this version. A change of it needs a new version."""

TEST_SCHEMA = "MCP_QUEUE_TEST_SCHEMA"
"""The variable with the digest of a schema that has additional triggers of the tests."""

_OBJECTS = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
_OLD = "of_an_older_version_"  # prefix of the names of tables whose rows are copied


def is_of_this_version(connection: Any) -> bool:
    """Whether a registry has exactly the schema of this version."""
    return digest(connection) in (DIGEST, os.environ.get(TEST_SCHEMA))


def digest(connection: Any) -> str:
    """A digest of the whole schema of a database."""
    from hashlib import sha256

    return sha256(repr(connection.execute(_OBJECTS).fetchall()).encode()).hexdigest()


def make(connection: Any) -> None:
    """Make the tables of this version in an empty database, within the open transaction."""
    connection.execute(_text())


def bring_up(connection: Any) -> None:
    """Convert an older registry to this version, within the open transaction.

    New tables are made, and filled with the rows of the old ones, in the columns that both have.
    """
    text = _text()
    tables = re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE)
    older = _clear(connection, tables)
    connection.execute(text)
    triggers = [sql for kind, _, _, sql in connection.execute(_OBJECTS) if kind == "trigger"]
    for name in _names(connection, "trigger"):  # the tables that triggers fill are copied, too
        connection.execute(f"DROP TRIGGER {_quoted(name)}")
    for table in older:
        _copy(connection, table)
    for sql in triggers:
        connection.execute(sql)


def _clear(connection: Any, tables: Iterable[str]) -> list[str]:
    """Drop everything except our tables, and rename these. Returns those that existed."""
    for kind in ("trigger", "view", "index"):
        for name in _names(connection, kind):
            connection.execute(f"DROP {kind} {_quoted(name)}")
    found = _names(connection, "table")
    for name in found:
        if name not in tables:
            connection.execute(f"DROP TABLE {_quoted(name)}")
    older = [table for table in tables if table in found]
    for table in older:
        connection.execute(f"ALTER TABLE {table} RENAME TO {_OLD}{table}")
    return older


def _copy(connection: Any, table: str) -> None:
    before = _columns(connection, _OLD + table)
    names = ", ".join(name for name in _columns(connection, table) if name in before)
    connection.execute(
        f"INSERT OR REPLACE INTO {table} ({names}) SELECT {names} FROM {_OLD}{table}"
    )
    # The number of a job is never used again, even after the job is past its retention.
    connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, (SELECT max(seq) FROM sqlite_sequence"
        " WHERE name IN (?, ?))) WHERE name = ?",
        (table, _OLD + table, table),
    )
    connection.execute(f"DROP TABLE {_OLD}{table}")


def _names(connection: Any, kind: str) -> list[str]:
    """The objects of a kind, without those that SQLite makes itself."""
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = ?", (kind,)).fetchall()
    return [name for (name,) in found if not name.startswith("sqlite_")]


def _columns(connection: Any, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text() -> str:
    here = os.path.join(os.path.dirname(__file__), "schema.sql")
    with open(here, encoding="utf-8") as file:
        return file.read()
