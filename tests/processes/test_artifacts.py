"""Artifacts from Python, forged ones, retention, and a supervisor's death in between."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import support.surface_commands  # noqa: F401 (registers the commands)
from mcp_queue.errors import ArtifactNotFoundError, InvalidJobStateError, JobNotFoundError
from mcp_queue.jobs import events
from mcp_queue.jobs.folder import RegistryFolder
from support.queues import becomes_true, done, opened, run, submit, supervisor_pid, until

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager


def events_of(queue: QueueManager, job: JobRecord) -> str:
    assert job.run_id is not None
    return RegistryFolder(queue.registry_path).run(job.run_id).events


async def test_artifacts_from_python(queue: QueueManager) -> None:
    job = await run(queue, "keeps", artifacts={"a.csv": "1,2\n", "b": "other"})
    first, second = await queue.list_artifacts(job.job_id)
    assert (first.name, first.mime_type, first.size, first.uri) == (
        "a.csv",
        "text/csv",
        4,
        job.result[0],
    )
    assert (await first.read(), await second.read(2, 2)) == (b"1,2\n", b"he")
    assert await queue.get_artifact(job.job_id, "b") == second
    assert os.stat(second.path).st_size == second.size
    for name in ("c", "../a.csv", "", "x" * 200):
        with pytest.raises(ArtifactNotFoundError):
            await queue.get_artifact(job.job_id, name)
    with pytest.raises(JobNotFoundError):
        await queue.get_artifact("unknown", "a.csv")
    await queue.delete_job(job.job_id)
    with pytest.raises(InvalidJobStateError, match="deleted"):
        await queue.get_artifact(job.job_id, "a.csv")
    with pytest.raises(ArtifactNotFoundError):
        await second.read()


async def test_they_go_with_the_job(persistent: Settings) -> None:
    settings = replace(persistent, completed_job_retention_seconds=0.3)
    async with opened(settings) as queue:
        job = await run(queue, "keeps", artifacts={"a": "1"})
        [artifact] = await queue.list_artifacts(job.job_id)
        await becomes_true(lambda: not os.path.exists(artifact.path))
        with pytest.raises(JobNotFoundError):
            await queue.get_artifact(job.job_id, "a")


async def test_a_supervisor_killed_while_they_are_kept_loses_none(
    persistent: Settings, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with opened(persistent) as queue:
        job = await submit(queue, "keeps_in_turn", under="n", gate=str(gate))
        await until(queue, job, lambda record: record.artifact_count)
        killed = await supervisor_pid(queue)
        os.kill(killed, signal.SIGKILL)
        await supervisor_pid(queue, other_than=killed)
        gate.touch()
        assert (await done(queue, job)).status == "completed"
        [artifact] = await queue.list_artifacts(job.job_id)
        assert len(await artifact.read()) == artifact.size


@pytest.mark.parametrize(
    "forged",
    [
        {"name": "../x"},
        {"name": 7},
        {"file": "../../job.json"},
        {"file": "job.json"},
        {"file": None},
        {"kind": "folder"},
        {"size": "many"},
        {"place": "first"},
        {"kind": "link", "uri": None},
    ],
)
async def test_what_a_run_forges_is_passed_over(
    persistent: Settings, tmp_path: Path, forged: dict[str, object]
) -> None:
    gate = tmp_path / "gate"
    told = {"name": "n", "kind": "file", "file": "0" * 16, "size": 1, **forged}
    async with opened(persistent) as queue:
        job = await submit(queue, "keeps", artifacts={"a": "1"}, gate=str(gate))
        running = await until(queue, job, lambda record: record.artifact_count)
        events.append(events_of(queue, running), events.ARTIFACT, told)
        gate.touch()
        job = await done(queue, job)
        assert [artifact.name for artifact in await queue.list_artifacts(job.job_id)] == ["a"]


async def test_a_text_that_no_registry_can_hold_is_mended(
    persistent: Settings, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    told: dict[str, object] = {
        "name": "n",
        "kind": "link",
        "uri": "x:\ud800",
        "title": "t" * 10_000,
    }
    async with opened(persistent) as queue:
        job = await submit(queue, "keeps", artifacts={}, gate=str(gate))
        running = await until(queue, job, lambda record: record.description == "kept")
        events.append(events_of(queue, running), events.ARTIFACT, told)
        gate.touch()
        [row] = await queue.artifacts_of(await done(queue, job))
        assert (row.uri, len(row.title or "")) == ("x:?", 4096)
