"""Slots: how many run, who waits where, who comes next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from support.guards import GUARD
from support.queues import done, opened, run, submit, supervisor_pid, until

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.processes import Lifelines


pytestmark = pytest.mark.supervisor_killed


async def test_with_one_slot_jobs_wait_in_their_order(settings: Settings, lines: Lifelines) -> None:
    async with opened(replace(settings, max_concurrent_jobs=1)) as queue:
        jobs = [await submit(queue, "gated", port=lines.port) for _ in range(3)]
        for _ in jobs:
            await lines.arrive()
            records = [await queue.get_job_status(job.job_id) for job in jobs]
            running = [record.status for record in records].index("running")
            assert [record.status for record in records] == [
                *["completed"] * running, "running", *["pending"] * (2 - running)
            ]  # fmt: skip
            assert [record.queue_position for record in records[running:]] == [
                None, *range(1, 3 - running)
            ]  # fmt: skip
            lines.let_go()
            await done(queue, jobs[running])
        ended = [await queue.get_job_status(job.job_id) for job in jobs]
        starts = [record.started_at or 0.0 for record in ended]
        assert starts == sorted(starts)
        for before, after in zip(ended, starts[1:], strict=False):
            assert (before.finished_at or 0.0) <= after


async def test_a_slot_is_free_when_the_tree_is_dead(settings: Settings, lines: Lifelines) -> None:
    async with opened(replace(settings, max_concurrent_jobs=1)) as queue:
        first = await submit(queue, "lingers", port=lines.port)
        assert (await done(queue, first)).status == "completed"
        assert (await run(queue, "nothing")).status == "completed"
        await lines.arrive()
        assert lines.living() == 0


async def test_a_start_answers_running_if_a_slot_was_free(
    settings: Settings, lines: Lifelines
) -> None:
    async with opened(replace(settings, max_concurrent_jobs=1)) as queue:
        for name in ("one", "two"):
            added = await queue.add_job("gated", name, {"port": lines.port})
            assert (added.status, added.queue_position) == ("pending", None)
        assert (await queue.start_job("one")).status == "running"
        await lines.arrive()
        second = await queue.start_job("two")
        assert (second.status, second.queue_position) == ("pending", 1)
        lines.let_go()
        await until(queue, second, lambda record: record.status == "running")
        await lines.arrive()


async def test_stopping_one_lets_the_next_run(settings: Settings, lines: Lifelines) -> None:
    async with opened(replace(settings, max_concurrent_jobs=1)) as queue:
        first = await submit(queue, "stubborn", how="waits", port=lines.port)
        await lines.arrive(3)
        second = await submit(queue, "add", a=1, b=1)
        third = await submit(queue, "add", a=2, b=2)
        await queue.delete_job(second.job_id)
        await supervisor_pid(queue)
        await queue.stop_job(first.job_id)
        assert (await done(queue, third)).result == 4
        assert (await queue.get_job_status(second.job_id)).status == "deleted"


async def test_many_jobs_each_run_once(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with opened(replace(settings, max_concurrent_jobs=4)) as queue:
        jobs = [await submit(queue, "note", path=str(path), line=str(n)) for n in range(30)]
        for job in jobs:
            assert (await done(queue, job)).status == "completed"
        health = await queue.get_queue_health()
    assert sorted(path.read_text().split(), key=int) == [str(n) for n in range(30)]
    assert (health["total_jobs"], health["completed_jobs"], health["running_jobs"]) == (30, 30, 0)


async def test_two_managers_share_one_registry(
    persistent: Settings, lines: Lifelines, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    async with opened(persistent) as one, opened(persistent) as other:
        job = await submit(one, "gated", port=lines.port, answer="seen by both")
        await lines.arrive()
        seen = await until(other, job, lambda record: record.progress == 10)
        assert seen.status == "running"
        assert (await one.get_queue_health())["servers"] == 2
        supervisors = [(await q.get_queue_health())["supervisor"] for q in (one, other)]
        assert supervisors[0] == supervisors[1]
        lines.let_go()
        assert (await done(other, job)).result == "seen by both"

        async def submit_some(number: int) -> None:
            queue = (one, other)[number % 2]
            record = await run(queue, "note", path=str(path), line=str(number))
            assert (await (one, other)[1 - number % 2].get_job_status(record.job_id)) == record

        async with anyio.create_task_group() as tasks:
            for number in range(16):
                tasks.start_soon(submit_some, number)
    assert sorted(path.read_text().split(), key=int) == [str(n) for n in range(16)]


async def test_servers_that_left_are_not_counted(persistent: Settings) -> None:
    for _ in range(3):
        async with opened(persistent):
            pass
    async with opened(persistent) as queue:
        assert (await queue.get_queue_health())["servers"] == 1
        await run(queue, "nothing")
        assert (await queue.get_queue_health())["servers"] == 1


async def test_watching_all_shows_each_change_of_each_job(settings: Settings) -> None:
    async with opened(settings) as queue:
        ends: dict[str, str] = {}
        jobs: list[JobRecord] = []
        ready = anyio.Event()

        async def watch() -> None:
            changes = queue.watch()
            following = anyio.Event()
            async with anyio.create_task_group() as tasks:

                async def follow() -> None:
                    async for record in changes:
                        if record.terminal:
                            ends[record.job_id] = record.status
                        if len(ends) == 5:
                            break
                    following.set()

                tasks.start_soon(follow)
                await anyio.wait_all_tasks_blocked()
                ready.set()
                await following.wait()
            await changes.aclose()

        with anyio.fail_after(GUARD):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                await ready.wait()
                jobs += [await submit(queue, "nothing") for _ in range(5)]
        assert ends == {job.job_id: "completed" for job in jobs}
