"""A registry has the schema of its version and no other; an older one is brought up."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from mcp_queue.errors import RegistryUntrustedError
from mcp_queue.jobs import job_rows, schema
from mcp_queue.jobs.registry import APPLICATION_ID, Registry
from support.rows import new_job

OLDER = sorted((Path(__file__).parents[2] / "support" / "registries").glob("version_*.sql"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "registry.db")


def older_registry(path: str, version: Path) -> None:
    """A registry of an older version with a finished, a waiting and a forgotten job."""
    Path(path).touch(0o600)
    database = apsw.Connection(path)
    database.execute(version.read_text("utf-8"))
    database.pragma("application_id", APPLICATION_ID)
    database.pragma("user_version", int(version.stem.removeprefix("version_")))
    for seq, job_id, status in (
        (1, "done", "completed"),
        (2, "waits", "pending"),
        (9, "x", "pending"),
    ):
        ended = 5.0 if status == "completed" else None
        database.execute(
            "INSERT INTO jobs (seq, job_id, command, job_type, status, rev, created_at, updated_at,"
            " finished_at, kept_since, result, result_size, params, call)"
            " VALUES (?, ?, 'add', 'add', ?, ?, 1, 1, ?, ?, '3', 1, '{}', '{}')",
            (seq, job_id, status, seq, ended, ended),
        )
    database.execute("DELETE FROM jobs WHERE job_id = 'x'")
    database.execute("UPDATE counter SET value = 9 WHERE name = 'rev'")
    database.close()


def test_the_schema_is_the_one_of_its_version(path: str) -> None:
    registry = Registry(path)
    assert schema.digest(registry.connection) == schema.DIGEST, "a change of it is a new version"
    registry.close()


@pytest.mark.parametrize("version", OLDER, ids=lambda version: version.stem)
def test_an_older_registry_is_brought_up(path: str, version: Path) -> None:
    older_registry(path, version)
    registry = Registry(path)
    assert schema.is_of_this_version(registry.connection)
    done, waits = job_rows.get(registry, "done"), job_rows.get(registry, "waits")
    assert (done.status, done.result, done.finished_at) == ("completed", 3, 5.0)
    assert waits.status == "pending"
    assert job_rows.totals(registry)["pending"] == 1
    assert registry.rows("SELECT job_type, n FROM not_ended") == [("add", 2)]
    assert registry.value("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'") == 9
    assert job_rows.add(registry, new_job("next")).rev > 9
    registry.close()
    Registry(path).close()


@pytest.mark.parametrize("version", OLDER, ids=lambda version: version.stem)
def test_nothing_of_an_older_schema_stays(path: str, version: Path) -> None:
    older_registry(path, version)
    database = apsw.Connection(path)
    database.execute(
        "CREATE TABLE loot (x); CREATE INDEX i ON jobs (call);"
        "CREATE VIEW seen AS SELECT * FROM jobs;"
        "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN INSERT INTO loot VALUES (new.params); END"
    )
    database.close()
    registry = Registry(path)
    assert schema.is_of_this_version(registry.connection)
    assert job_rows.get(registry, "done").result == 3
    registry.close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN UPDATE questions SET action = 'accept'; END",
        "DROP TRIGGER artifacts_of_deleted",
        "CREATE TABLE loot (x)",
        "CREATE VIEW seen AS SELECT * FROM jobs",
        "CREATE INDEX i ON jobs (call)",
        "ALTER TABLE questions ADD COLUMN more TEXT DEFAULT 'accept'",
        "ALTER TABLE jobs DROP COLUMN seal",
    ],
)
def test_a_schema_that_is_not_ours_is_refused(path: str, statement: str) -> None:
    registry = Registry(path)
    registry.execute(statement)
    registry.close()
    with pytest.raises(RegistryUntrustedError, match="did not make"):
        Registry(path)


def test_rows_that_no_older_version_wrote_change_nothing(path: str) -> None:
    Path(path).touch(0o600)
    database = apsw.Connection(path)
    database.execute("CREATE TABLE jobs (seq, job_id); INSERT INTO jobs VALUES (1, 'x')")
    database.pragma("application_id", APPLICATION_ID)
    database.pragma("user_version", 1)
    database.close()
    with pytest.raises(RegistryUntrustedError, match="older version"):
        Registry(path)
    database = apsw.Connection(path)
    assert database.execute("SELECT * FROM jobs").fetchall() == [(1, "x")]
    database.close()
