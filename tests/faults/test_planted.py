"""A registry that a repository or an archive brought along: its files are ours, its words are not.

Nothing of it runs, no process that it names is touched, and no file that it points to is read,
written or removed.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.jobs import job_rows, run_rows, seals
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.job_rows import NewJob
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.run_folder import RunFolder
from mcp_queue.manager import key_file
from mcp_queue.system.identity import identity_of
from support import invariants, queues
from support.processes import sleeper
from support.rawclient import RawClient
from support.scenes import call, greet, refused

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from support.serving import Setup

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes and no fifos")
SECRET = "a word that is nobody's business"
RUN = "0123456789abcdef0123456789abcdef"


@dataclass
class Planted:
    """A registry as its attacker made it."""

    path: str
    traces: Path
    """A file that any code of the attacker's makes."""
    private: Path
    """A file of the user's."""

    @property
    def folder(self) -> RegistryFolder:
        return RegistryFolder(self.path)

    def job(self, job_id: str, **changed: Any) -> NewJob:
        """A job whose interpreter is the attacker's, and whose command would do as well."""
        program = self.traces.with_name("program")
        program.write_text(f"#!/bin/sh\ntouch '{self.traces}'\n")
        program.chmod(0o755)
        fields: dict[str, Any] = {
            "job_id": job_id,
            "command": "add",
            "job_type": "add",
            "params": "{}",
            "call": "{}",
            "origin": json.dumps(
                {
                    "interpreter": str(program),
                    "package": "/",
                    "sys_path": [],
                    "cwd": "/",
                    "env": dict(os.environ),
                }
            ),
            "timeout": None,
            "start": True,
        }
        return NewJob(**(fields | changed))

    def add(self, job: NewJob, run_id: str | None = None, **changed: object) -> None:
        """Put a job in; with a run it is one that runs."""
        registry = Registry(self.path)
        job_rows.add(registry, job)
        if run_id is not None:
            run_rows.claim(registry, [RUN])
            registry.execute("UPDATE runs SET run_id = ?", (run_id,))
            registry.execute("UPDATE jobs SET run_id = ?", (run_id,))
        for column, value in changed.items():
            registry.execute(f"UPDATE jobs SET {column} = ?", (value,))
        registry.close()

    def add_ended(self, **changed: object) -> RunFolder:
        """Put in a job that has ended; its run's folder, which is made."""
        self.add(self.job("ended"), RUN)
        registry = Registry(self.path)
        run_rows.finish(registry, RUN, run_rows.Ending("completed"), gone=True)
        for column, value in changed.items():
            registry.execute(f"UPDATE jobs SET {column} = ?", (value,))
        registry.close()
        run = self.folder.run(RUN)
        os.mkdir(run.path, 0o700)
        return run

    def is_untouched(self) -> bool:
        return not self.traces.exists() and self.private.read_text() == SECRET


@pytest.fixture
def planted(persistent: Settings, tmp_path: Path) -> Planted:
    path = invariants.settings_path(persistent)
    Registry(path).close()
    RegistryFolder(path).make()
    (tmp_path / "home").mkdir()
    private = tmp_path / "home" / "private"
    private.write_text(SECRET)
    return Planted(path, tmp_path / "traces", private)


def failed(view: dict[str, Any]) -> str:
    assert view["status"] == "failed", view
    return view["error"]["code"]


def wait(client: RawClient, job_id: str) -> dict[str, Any]:
    return call(client, "queue_wait_job", job_ids=[job_id])["jobs"][0]


@posix
@pytest.mark.parametrize("sealed", ["not sealed", "with another key", "before it was changed"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_row_50_a_waiting_job_is_not_run(
    planted: Planted, server: Setup, sealed: str, attempts: int
) -> None:
    job = planted.job("waits", max_attempts=attempts)
    seal = None
    if sealed == "with another key":
        seal = seals.of_job(b"k" * seals.SIZE, job)
    elif sealed == "before it was changed":
        seal = seals.of_job(seals.read_key(key_file.path(None)), planted.job("waits", origin="{}"))
    planted.add(job, seal=seal)
    with RawClient(server.command) as client:
        greet(client)
        own = call(client, "add", a=1, b=2)["job_id"]
        view = wait(client, "waits")
        assert failed(view) == seals.UNTRUSTED
        assert "MCP_QUEUE_KEY_FILE" in view["error"]["message"]
        assert wait(client, own)["result"] == 3
    assert planted.is_untouched()
    assert not os.path.exists(planted.folder.run(RUN).path)
    queues.clear(planted.path)


@posix
@pytest.mark.parametrize(
    "column",
    ["command", "params", "call", "origin", "timeout", "max_attempts", "memory_limit", "job_id"],
)
def test_row_50_a_job_that_was_changed_as_it_waited_is_not_run(
    planted: Planted, server: Setup, column: str
) -> None:
    with RawClient(server.command) as client:
        greet(client)
        call(client, "queue_add_job", command="add", job_id="mine", params={"a": 1, "b": 2})
        registry = Registry(planted.path)
        other = {"timeout": 7.0, "max_attempts": 2, "memory_limit": 1 << 40, "job_id": "other"}
        value = other.get(column, getattr(planted.job("mine"), column, None))
        registry.execute(f"UPDATE jobs SET {column} = ?", (value,))
        [job_id] = registry.rows("SELECT job_id FROM jobs")[0]
        registry.close()
        call(client, "queue_start_job", job_id=job_id)
        if column == "command":  # the same one, so the seal holds
            assert wait(client, job_id)["status"] == "completed"
        else:
            assert failed(wait(client, job_id)) == seals.UNTRUSTED
    assert planted.is_untouched()
    queues.clear(planted.path)


@posix
async def test_row_50_a_next_attempt_is_checked_as_the_first(
    planted: Planted, server: Setup, tmp_path: Path
) -> None:
    server.commands = ["support.lost_commands", *server.commands]
    server.settings["retry_backoff_seconds"] = 3600
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "crashes", path=str(tmp_path / "attempts"), times=3)["job_id"]
        registry = Registry(planted.path)
        rests = "SELECT 1 FROM jobs WHERE status = 'pending' AND not_before > 0"
        await queues.becomes_true(lambda: registry.value(rests))
        registry.execute(
            "UPDATE jobs SET not_before = NULL, origin = ?", (planted.job("x").origin,)
        )
        registry.close()
        call(client, "add", a=1, b=2)  # rings the supervisor
        view = wait(client, job_id)
        assert (failed(view), view["attempt"]) == (seals.UNTRUSTED, 2)
    assert planted.is_untouched()
    queues.clear(planted.path)


@posix
@pytest.mark.parametrize("how", ["times out", "is stopped", "is deleted", "bears the mark"])
def test_row_50_a_process_that_a_running_job_names_is_left_alone(
    planted: Planted, server: Setup, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "bears the mark":
        monkeypatch.setenv("MCP_QUEUE_RUN", RUN)
    with sleeper() as mine:
        monkeypatch.delenv("MCP_QUEUE_RUN", raising=False)
        timeout = 0.001 if how == "times out" else None
        planted.add(planted.job("runs", timeout=timeout), RUN, stop_requested=how == "is stopped")
        os.mkdir(planted.folder.run(RUN).path)
        registry = Registry(planted.path)
        identity = identity_of(mine.pid) if how != "bears the mark" else "other-boot||1|1"
        registry.execute("UPDATE runs SET identity = ?, started = 1", (identity,))
        if how == "is deleted":
            job_rows.delete(registry, "runs", "by client")
        registry.close()
        with RawClient(server.command) as client:
            greet(client)
            own = call(client, "add", a=1, b=2)["job_id"]
            assert wait(client, own)["result"] == 3
            if how in ("times out", "bears the mark"):
                assert failed(wait(client, "runs")) == seals.UNTRUSTED
            assert mine.poll() is None
    queues.clear(planted.path)


def test_row_50_a_running_job_without_a_run_ends(planted: Planted, server: Setup) -> None:
    planted.add(planted.job("runs"), RUN)
    registry = Registry(planted.path)
    registry.execute("DELETE FROM runs")
    registry.close()
    with RawClient(server.command) as client:
        greet(client)
        call(client, "add", a=1, b=2)
        assert failed(wait(client, "runs")) == seals.UNTRUSTED
    queues.clear(planted.path)


@posix
@pytest.mark.parametrize("which", ["jobs", "runs"])
def test_row_50_a_run_that_is_a_path_leads_nowhere(
    planted: Planted, server: Setup, which: str, persistent: Settings
) -> None:
    """Its folder would be removed before the next attempt, or when no job needs it."""
    run_id = RUN if which == "jobs" else str(planted.private.parent)
    planted.add(planted.job("runs"), run_id)
    registry = Registry(planted.path)
    if which == "jobs":
        registry.execute("DELETE FROM runs")
        registry.execute(
            "UPDATE jobs SET status = 'pending', run_id = ?", (str(planted.private.parent),)
        )
    registry.close()
    with RawClient(server.command) as client:
        greet(client)
        error = refused(client, "queue_wait_job", job_ids=["runs"])
        assert "not yours alone" in error["message"] or error["code"] == "supervisor_failed", error
    assert planted.is_untouched()


@posix
def test_row_50_the_bell_of_a_server_is_no_path(planted: Planted, server: Setup) -> None:
    """It would be rung, which writes, and removed."""
    registry = Registry(planted.path)
    registry.execute(
        "INSERT INTO servers VALUES (?, 'other-boot||1|1', '', 0, '')", (str(planted.private),)
    )
    registry.close()
    with RawClient(server.command) as client:
        greet(client)
        own = call(client, "add", a=1, b=2)["job_id"]
        assert wait(client, own)["result"] == 3
    assert planted.is_untouched()
    queues.clear(planted.path)


@posix
@pytest.mark.parametrize("name", ["result.json", "stdout.log", "the folder"])
def test_row_50_a_link_in_the_folder_of_a_run_shows_nothing(
    planted: Planted, server: Setup, name: str
) -> None:
    planted.private.write_text(json.dumps(SECRET))
    run = planted.add_ended(result_size=len(SECRET) + 2)
    if name == "the folder":
        os.rmdir(run.path)
        for file in ("result.json", "stdout.log"):
            (planted.private.parent / file).write_text(json.dumps(SECRET))
        os.symlink(planted.private.parent, run.path)
    else:
        os.symlink(planted.private, os.path.join(run.path, name))
    with RawClient(server.command) as client:
        greet(client)
        for tool in ("queue_get_job_status", "queue_get_job_logs"):
            shown = client.request("tools/call", {"name": tool, "arguments": {"job_id": "ended"}})
            assert SECRET not in json.dumps(shown)
        for what in ("", "/result", "/logs/stdout"):
            read = client.request("resources/read", {"uri": f"queue://jobs/ended{what}"})
            assert SECRET not in json.dumps(read)
    assert json.loads(planted.private.read_text()) == SECRET


@posix
@pytest.mark.parametrize("how", ["a file", "the folder", "the folder of the run", "a path"])
def test_row_50_an_artifact_that_leads_elsewhere_shows_nothing(
    planted: Planted, server: Setup, how: str
) -> None:
    run = planted.add_ended(artifacts=1)
    file = "0123456789abcdef"
    if how == "a file":
        os.mkdir(run.artifacts)
        os.symlink(planted.private, os.path.join(run.artifacts, file))
    elif how == "the folder":
        planted.private.with_name(file).write_text(SECRET)
        os.symlink(planted.private.parent, run.artifacts)
    elif how == "the folder of the run":
        os.rmdir(run.path)
        os.symlink(planted.private.parent, run.path)
        (planted.private.parent / "artifacts").mkdir()
        (planted.private.parent / "artifacts" / file).write_text(SECRET)
    else:
        file = str(planted.private)
    registry = Registry(planted.path)
    registry.execute(
        "INSERT INTO artifacts (run_id, name, kind, mime_type, file, size)"
        " VALUES (?, 'shown', 'file', 'text/plain', ?, ?)",
        (RUN, file, len(SECRET)),
    )
    registry.close()
    with RawClient(server.command) as client:
        greet(client)
        read = client.request("resources/read", {"uri": "queue://jobs/ended/artifacts/shown"})
        assert SECRET not in json.dumps(read)


@posix
@pytest.mark.parametrize(
    "name", ["supervisor.lock", "supervisor.log", "bells/x", "bells/supervisor"]
)
def test_row_50_a_link_in_the_folder_is_not_followed(
    planted: Planted, server: Setup, name: str
) -> None:
    os.symlink(planted.private, os.path.join(planted.folder.path, name))
    with RawClient(server.command) as client:
        greet(client)
        started = client.request("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
        job_id = started["result"]["structuredContent"]["job_id"]
        if name.startswith("supervisor."):
            error = refused(client, "queue_wait_job", job_ids=[job_id])
            assert "is a link, which is not followed" in error["message"]
        else:
            assert wait(client, job_id)["result"] == 3
    assert planted.is_untouched()
    if not name.startswith("supervisor."):
        queues.clear(planted.path)


@posix
@pytest.mark.parametrize("which", ["path", "runs", "bells"])
def test_row_50_a_folder_that_is_a_link_is_refused(
    planted: Planted, server: Setup, which: str
) -> None:
    folder = getattr(planted.folder, which)
    for name in ("runs", "bells"):
        if which == "path":
            os.rmdir(os.path.join(folder, name))
    os.rmdir(folder)
    os.symlink(planted.private.parent, folder)
    with RawClient(server.command) as client:
        assert client.wait() != 0
        assert "link" in client.stderr
    assert sorted(path.name for path in planted.private.parent.iterdir()) == ["private"]


def test_row_50_settings_in_it_do_not_hold(planted: Planted, server: Setup) -> None:
    registry = Registry(planted.path)
    registry.execute("INSERT INTO settings VALUES (1, '{\"max_concurrent_jobs\": 0}')")
    registry.close()
    with RawClient(server.command) as client:
        greet(client)
        assert call(client, "queue_health")["max_concurrent_jobs"] == 10
        assert wait(client, call(client, "add", a=1, b=2)["job_id"])["result"] == 3
    queues.clear(planted.path)
