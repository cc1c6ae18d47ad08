"""Many servers, many jobs, and too few descriptors for them."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from mcp_queue.manager import QueueManager
from support import harm, invariants, queues, scenes
from support.processes import GUARD
from support.queues import supervisor_pid
from support.rawclient import RawClient
from support.scenes import failure, greet

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from support.invariants import Witness
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]

SERVERS = 3
JOBS = 400  # of all servers and of one program together; `--thorough`: 1,000
ROUNDS = 60  # of a supervisor that leaves as a job comes; `--thorough`: 1,000


async def test_row_25_many_servers(
    server: Setup, witness: Witness, persistent: Settings, tmp_path: Path, thorough: bool
) -> None:
    notes = tmp_path / "notes"
    jobs = 1000 if thorough else JOBS
    each = jobs // (SERVERS + 1)
    clients = [RawClient(server.command) for _ in range(SERVERS)]
    try:
        for client in clients:
            greet(client)
        posted: list[tuple[RawClient, int]] = []
        async with await QueueManager.open(persistent) as program:
            for number in range(each):
                for place, client in enumerate(clients):
                    arguments = {"path": str(notes), "line": f"{place}-{number}"}
                    params = {"name": "note", "arguments": arguments}
                    posted.append((client, client.post("tools/call", params)))
                witness.told(
                    await queues.submit(program, "note", path=str(notes), line=f"program-{number}")
                )
            for client, request in posted:
                result = client.answer(request).message["result"]
                assert not result.get("isError"), result
                witness.told(result["structuredContent"]["job_id"])
            for job_id in witness.answered:
                record = await program.wait_for_job(job_id, GUARD * 10)
                assert failure(record) == ("completed", None)
    finally:
        for client in clients:
            client.close()
    lines = notes.read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(witness.answered) == jobs


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process take prlimit")
async def test_row_28_no_descriptors(persistent: Settings) -> None:
    """The supervisor may open no more: jobs wait or fail clearly, and run once it may again."""
    import resource

    async with scenes.scene(persistent) as scene:
        assert (await scene.run("add", a=2, b=3)).result == 5
        supervisor = await supervisor_pid(scene.queue)
        limits = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
        in_use = len(os.listdir(f"/proc/{supervisor}/fd"))
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (in_use + 1, limits[1]))
        jobs = [await scene.submit("add", a=2, b=n) for n in range(5)]
        first = await scene.done(jobs[0])
        assert failure(first) == ("failed", "interrupted")
        assert "Too many open files" in str(first.error)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
        for job in jobs:
            record = await scene.done(job)
            assert failure(record) in (("failed", "interrupted"), ("completed", None))
        assert (await scene.run("add", a=2, b=3)).result == 5


async def test_row_28_two_hundred_jobs(persistent: Settings) -> None:
    """Descriptors, threads and children are back at the count of the start."""
    async with scenes.scene(persistent) as scene:
        await scene.run("add", a=2, b=3)
        supervisor = psutil.Process(await supervisor_pid(scene.queue))
        own = psutil.Process()
        await invariants.becomes(lambda: not supervisor.children(), "a child")
        before = [counts(own), counts(supervisor)]
        jobs = [await scene.submit("add", a=2, b=n) for n in range(200)]
        for n, job in enumerate(jobs):
            assert (await scene.done(job)).result == n + 2
        await invariants.becomes(
            lambda: not grown(before, [counts(own), counts(supervisor)]),
            f"before {before}, after {[counts(own), counts(supervisor)]}",
        )


def grown(before: list[tuple[int, ...]], after: list[tuple[int, ...]]) -> bool:
    return any(
        now > then
        for b, a in zip(before, after, strict=True)
        for then, now in zip(b, a, strict=True)
    )


def counts(process: psutil.Process) -> tuple[int, int, int]:
    """Descriptors, threads, children."""
    return process.num_fds(), process.num_threads(), len(process.children(recursive=True))


async def test_row_35_supervisor_leaves_as_work_comes(
    persistent: Settings, witness: Witness, record_property: RecordProperty, thorough: bool
) -> None:
    """A server goes, and with it the supervisor; another comes with a job in just that moment."""
    settings = replace(persistent, supervisor_linger_seconds=0.0)
    supervisors: set[int] = set()
    jitter = random.Random(35)
    for _ in range(1000 if thorough else ROUNDS):
        async with await QueueManager.open(settings) as queue:
            job = await queues.submit(queue, "nothing")
            witness.told(job)
            assert failure(await queues.done(queue, job)) == ("completed", None)
            supervisors.add((await queue.get_queue_health())["supervisor"].get("pid", 0))
            assert len(detached(witness.path)) <= 1
        await asyncio.sleep(jitter.uniform(0, 0.03))  # to hit every moment of its leaving
    record_property("supervisors", len(supervisors))


def detached(path: str) -> list[psutil.Process]:
    """The supervisors of a registry; not the process that starts one, which leaves at once."""
    found: list[psutil.Process] = []
    for process in harm.supervisors_of(path):
        with suppress(psutil.NoSuchProcess):
            if process.ppid() == 1:
                found.append(process)
    return found
