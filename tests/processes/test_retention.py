"""Retention with a real supervisor: ended jobs go with their folders, and only when it is time."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_queue import clock
from mcp_queue.errors import JobNotFoundError
from mcp_queue.jobs import retention, run_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from support.processes import GUARD
from support.queues import opened, run, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from support.processes import Lifelines

DAY = 86_400.0  # seconds
SITE = """\
import time
from pathlib import Path
_time = time.time
time.time = lambda: _time() + float(Path({path!r}).read_text())
"""


async def age(queue: QueueManager, job_id: str, seconds: float) -> None:
    """Let a job whose worker is gone have ended earlier than it has."""
    with closing(Registry(queue.registry_path)) as registry:
        with anyio.fail_after(GUARD):
            while job_id in {row.job_id for row in run_rows.all_runs(registry)}:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert registry.changed(
            "UPDATE jobs SET kept_since = kept_since - ? WHERE job_id = ?", (seconds, job_id)
        )


async def unknown(queue: QueueManager, *job_ids: str) -> None:
    """Wait until nobody knows the jobs."""
    with anyio.fail_after(GUARD):
        for job_id in job_ids:
            while True:
                try:
                    await queue.get_job_status(job_id)
                except JobNotFoundError:
                    break
                await anyio.sleep(0.01)


def run_folders(queue: QueueManager) -> set[str]:
    return set(os.listdir(RegistryFolder(queue.registry_path).runs))


async def folders_gone_but(queue: QueueManager, run_id: str | None) -> None:
    """Wait until one run alone has a folder; they go after the rows."""
    with anyio.fail_after(GUARD):
        while run_folders(queue) != {run_id}:  # noqa: ASYNC110 (nothing tells of it)
            await anyio.sleep(0.01)


@pytest.mark.supervisor_killed
async def test_ended_jobs_go_and_others_stay(settings: Settings, lines: Lifelines) -> None:
    settings = replace(settings, completed_job_retention_seconds=0.3)
    async with opened(settings) as queue:
        running = await submit(queue, "gated", port=lines.port)
        await lines.arrive()
        running = await until(queue, running, lambda record: record.status == "running")
        added = await queue.add_job("add", "added", {"a": 1, "b": 2})
        await queue.add_job("add", "deleted", {"a": 1, "b": 2})
        assert (await queue.delete_job("deleted")).reason == "by client"
        ended = [await submit(queue, "returns", what="large"), await submit(queue, "dies", how="3")]
        await unknown(queue, "deleted", *(job.job_id for job in ended))
        assert (await queue.get_job_status(running.job_id)).status == "running"
        assert (await queue.get_job_status(added.job_id)).status == "pending"
        await folders_gone_but(queue, running.run_id)
        health = await queue.get_queue_health()
        assert (health["total_jobs"], health["completed_jobs"]) == (2, 0)
        lines.let_go()


async def test_zero_keeps_until_another_retention_is_in_force(persistent: Settings) -> None:
    for_ever = replace(persistent, completed_job_retention_seconds=0.0)
    async with opened(for_ever) as queue:
        old = await run(queue, "add", a=1, b=2)
        await age(queue, old.job_id, 10_000 * DAY)
        await run(queue, "add", a=1, b=2)
        assert await queue.result_of(old.job_id) == 3
        async with await QueueManager.open(persistent):
            await unknown(queue, old.job_id)


async def test_what_expired_while_nobody_was_there_goes_at_the_next_start(
    persistent: Settings,
) -> None:
    async with opened(persistent) as queue:
        old, young = await run(queue, "add", a=1, b=2), await run(queue, "add", a=1, b=2)
    await age(queue, old.job_id, DAY)
    async with opened(persistent) as queue:
        await unknown(queue, old.job_id)
        assert await queue.result_of(young.job_id) == 3
        await folders_gone_but(queue, young.run_id)


async def test_a_server_without_a_supervisor_starts_one_when_a_job_expires(
    persistent: Settings,
) -> None:
    async with opened(persistent) as queue:
        old = await run(queue, "add", a=1, b=2)
    await age(queue, old.job_id, persistent.completed_job_retention_seconds - 1)
    async with opened(persistent) as queue:
        assert (await queue.get_job_status(old.job_id)).status == "completed"
        assert not (await queue.get_queue_health())["supervisor"]["running"]
        await unknown(queue, old.job_id)


async def test_folders_whose_rows_went_first_go_at_the_next_start(persistent: Settings) -> None:
    """As after a death between the two."""
    async with opened(persistent) as queue:
        old = await run(queue, "add", a=1, b=2)
    with closing(Registry(queue.registry_path)) as registry:
        assert retention.remove_expired(registry, 0, 10) == [old.run_id]
    assert run_folders(queue) == {old.run_id}
    async with opened(persistent) as queue:
        new = await run(queue, "add", a=1, b=2)
        assert run_folders(queue) == {new.run_id}


async def test_hundreds_go_while_jobs_run(persistent: Settings) -> None:
    async with opened(persistent) as queue:
        for n in range(120):
            await queue.add_job("nothing", f"job-{n}", {})
            await queue.delete_job(f"job-{n}")
        with closing(Registry(queue.registry_path)) as registry:
            registry.execute("UPDATE jobs SET kept_since = kept_since - ?", (DAY,))
        assert (await run(queue, "add", a=1, b=2)).result == 3
        await unknown(queue, *(f"job-{n}" for n in range(120)))


@pytest.fixture
def set_wall_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put the wall clock of this process and of those it starts ahead by seconds."""
    path = tmp_path / "ahead"
    path.write_text("0")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE.format(path=str(path)))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    wall = clock.wall
    monkeypatch.setattr(clock, "wall", lambda: wall() + float(path.read_text()))

    def set_clock(seconds: float) -> None:
        new = path.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(path)

    return set_clock


async def test_a_clock_that_jumps_makes_no_job_expire_early(
    persistent: Settings, set_wall_clock: Callable[[float], None]
) -> None:
    async with opened(persistent) as queue:
        kept = [await run(queue, "add", a=1, b=2)]
        for turn, ahead in enumerate((DAY, -DAY, 0.0), 1):
            set_wall_clock(ahead)
            assert abs((await run(queue, "wall_clock")).result - clock.wall()) < GUARD
            kept.append(await run(queue, "add", a=1, b=2))
            expired = await run(queue, "add", a=1, b=2)
            await age(queue, expired.job_id, DAY)
            # Another retention in force makes the supervisor look at once.
            retained = persistent.completed_job_retention_seconds - turn
            another = replace(persistent, completed_job_retention_seconds=retained)
            async with await QueueManager.open(another):
                await unknown(queue, expired.job_id)
            for job in kept:
                assert await queue.result_of(job.job_id) == 3
