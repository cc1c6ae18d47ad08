"""The schema of a registry: `schema.sql`, its version, and how an older registry is brought up.

A schema is code: triggers and defaults of somebody else's would answer questions, or keep what was
removed. So a registry of this version is used only if it has this very schema, and of an older one
the rows alone are taken over.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 2
DIGEST = "3bfd4da1861348fa79c876a09a28558257600d29ff6523d4d6957a3a869eb40e"
"""Of the schema of this version, as `digest` finds it. A change of it is a new version."""

TEST_SCHEMA = "MCP_QUEUE_TEST_SCHEMA"
"""The variable in which tests give the digest of a schema that has triggers of theirs."""

_OBJECTS = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
_OLD = "of_an_older_version_"  # begins the names of tables whose rows are taken over


def is_of_this_version(connection: Any) -> bool:
    """Whether a registry has the schema of this version, and nothing else."""
    return digest(connection) in (DIGEST, os.environ.get(TEST_SCHEMA))


def digest(connection: Any) -> str:
    """A digest of all that a database's schema says."""
    from hashlib import sha256

    return sha256(repr(connection.execute(_OBJECTS).fetchall()).encode()).hexdigest()


def make(connection: Any) -> None:
    """Make the tables of this version in an empty database, within the open transaction."""
    connection.execute(_text())


def bring_up(connection: Any) -> None:
    """Make an older registry one of this version, within the open transaction.

    The tables are made anew, and get the rows of the old ones with the columns that both have.
    """
    text = _text()
    tables = re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE)
    older = _clear(connection, tables)
    connection.execute(text)
    triggers = [sql for kind, _, _, sql in connection.execute(_OBJECTS) if kind == "trigger"]
    for name in _names(connection, "trigger"):  # what they count is copied, too
        connection.execute(f"DROP TRIGGER {_quoted(name)}")
    for table in older:
        _copy(connection, table)
    for sql in triggers:
        connection.execute(sql)


def _clear(connection: Any, tables: Iterable[str]) -> list[str]:
    """Drop all but our tables, and give these other names; which of them were there."""
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
    # No number of a job is given twice, also if the job is forgotten.
    connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, (SELECT max(seq) FROM sqlite_sequence"
        " WHERE name IN (?, ?))) WHERE name = ?",
        (table, _OLD + table, table),
    )
    connection.execute(f"DROP TABLE {_OLD}{table}")


def _names(connection: Any, kind: str) -> list[str]:
    """The objects of a kind that SQLite has not made by itself."""
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
