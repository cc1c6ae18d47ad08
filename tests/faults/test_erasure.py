"""Removed means gone: no byte of it is left in any file of the registry."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_queue.jobs import erase, job_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from support import harm, invariants, queues
from support.rawclient import RawClient
from support.rows import new_job
from support.scenes import call, greet

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from support.serving import Setup

JOBS = 100
ENVIRONMENT = "9f0c-of-the-environment"

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def files_with(server: Setup, *words: str) -> dict[str, list[str]]:
    """The files of the registry that hold any of these, and which."""
    walk = os.walk(os.path.dirname(server.settings["registry_path"]))  # while folders go
    found: dict[str, list[str]] = {}
    for file in (Path(folder, name) for folder, _, names in walk for name in names):
        if not file.is_file():  # reading a bell would take its rings
            continue
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue
        if there := [word for word in words if word.encode() in content]:
            found[file.name] = there
    return found


def word(number: int) -> str:
    """What only this job knows."""
    return f"7d1e-{number:03d}-of-the-job" + "-" * (number * 37 % 400)


def run_jobs(client: RawClient, count: int) -> list[str]:
    """Jobs that leave words everywhere, ended, their questions answered."""
    ids = [
        call(client, "leaves_words", word=word(number), number=number)["job_id"]
        for number in range(count)
    ]
    for number, job_id in enumerate(ids):
        asked = call(client, "queue_wait_job", job_ids=[job_id])["jobs"][0]
        assert asked["status"] == "running", asked
        answer = {"word": f"answer {word(number)}"}
        call(client, "queue_answer_job", job_id=job_id, content=answer)
    ended = call(client, "queue_wait_job", job_ids=ids)["jobs"]
    assert {job["status"] for job in ended} <= {"completed", "failed"}
    return ids


@pytest.fixture
def server(server: Setup, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setenv("SECRET_OF_THE_TEST", ENVIRONMENT)
    server.commands = ["support.secret_commands", "support.job_commands"]
    return server


async def test_row_52_nothing_is_left_of_environments_after_ends_and_of_jobs_after_deletes(
    server: Setup,
) -> None:
    words = [word(number).rstrip("-") for number in range(JOBS)]
    with RawClient(server.command) as client:
        greet(client)
        ids = run_jobs(client, JOBS)
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT))
        assert files_with(server, *words)  # they are kept, and would be found
        for job_id in ids:
            call(client, "queue_delete_job", job_id=job_id)
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT, *words))
        # The next ones are erased as well, though the registry was idle before.
        call(client, "add", a=1, b=2)
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT))
    queues.clear(server.settings["registry_path"])


async def test_row_52_a_job_that_is_stopped_or_deleted_as_it_waits_leaves_nothing(
    server: Setup,
) -> None:
    with RawClient(server.command) as client:
        greet(client)
        for number in range(20):
            params = {"word": word(number), "number": number}
            call(
                client, "queue_add_job", command="leaves_words", job_id=f"j{number}", params=params
            )
        for number in range(20):
            if number % 2:
                call(client, "queue_stop_job", job_id=f"j{number}")
            call(client, "queue_delete_job", job_id=f"j{number}")
        words = [word(number).rstrip("-") for number in range(20)]
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT, *words))


async def test_row_52_a_deletion_is_erased_without_a_supervisor(server: Setup) -> None:
    path = server.settings["registry_path"]
    with RawClient(server.command) as client:
        greet(client)
        ids = run_jobs(client, 5)
    await invariants.becomes(lambda: not harm.supervisors_of(path), "a supervisor")
    with RawClient(server.command) as client:
        greet(client)
        for job_id in ids:
            call(client, "queue_delete_job", job_id=job_id)
        words = [word(number).rstrip("-") for number in range(5)]
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT, *words))
        assert not harm.supervisors_of(path)


async def test_row_52_what_is_past_its_retention_is_erased(server: Setup) -> None:
    server.settings["completed_job_retention_seconds"] = 3
    with RawClient(server.command) as client:
        greet(client)
        run_jobs(client, 5)
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT))
        words = [word(number).rstrip("-") for number in range(5)]
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT, *words))
    queues.clear(server.settings["registry_path"])


@posix
async def test_row_52_what_killed_processes_left_is_erased_by_the_next_server(
    server: Setup,
) -> None:
    """Ends that were stored, and nothing erased yet."""
    path = server.settings["registry_path"]
    reader = Registry(path)
    with RawClient(server.command) as client:
        greet(client)
        with reader.snapshot():  # which keeps the log from being cut
            job_rows.totals(reader)
            run_jobs(client, 5)
            assert files_with(server, ENVIRONMENT)
            client.kill()  # first, or it starts another supervisor
            for process in harm.supervisors_of(path):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            await invariants.becomes(lambda: not harm.supervisors_of(path), "a supervisor")
    assert files_with(server, ENVIRONMENT)
    with RawClient(server.command) as client:
        greet(client)
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT))
    reader.close()
    queues.clear(path)


async def test_row_52_it_is_tried_again_while_somebody_reads(server: Setup) -> None:
    path = server.settings["registry_path"]
    reader, eraser = Registry(path), Registry(path)
    with RawClient(server.command) as client:
        greet(client)
        with reader.snapshot():
            job_rows.totals(reader)
            run_jobs(client, 2)
            assert not erase.erase(eraser)
            assert files_with(server, ENVIRONMENT)
        await queues.becomes_true(lambda: not files_with(server, ENVIRONMENT))
    reader.close()
    eraser.close()
    queues.clear(path)


@pytest.mark.parametrize("large", [False, True])
def test_row_52_a_large_registry_is_not_written_anew(
    persistent: Settings, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(erase, "LARGEST", 0)
    path = invariants.settings_path(persistent)
    registry = Registry(path)
    RegistryFolder(path).make()
    for number in range(200):
        job_rows.add(registry, new_job(f"j{number}"))
    for number in range(200):
        job_rows.delete(registry, f"j{number}", "by client")
    registry.execute("DELETE FROM jobs")
    assert erase.erase(registry)
    assert (registry.value("PRAGMA freelist_count") > 0) == large
    assert os.path.getsize(path + "-wal") == 0
    assert b"SECRET" not in Path(path).read_bytes()
    registry.close()
