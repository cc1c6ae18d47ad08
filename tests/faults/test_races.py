"""Two things at once, in every order: one of them wins, and everyone is told the truth."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from typing import TYPE_CHECKING

import pytest

from mcp_queue.errors import InvalidJobStateError, QueueError
from mcp_queue.jobs import job_rows, run_rows, states
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.run_rows import Ending
from support.invariants import Witness, check_history
from support.queues import supervisor_pid
from support.rows import new_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Lifelines
    from support.scenes import Scene

ROUNDS = 15


async def test_row_29_finish_against_stop(scene: Scene, lines: Lifelines) -> None:
    for n in range(ROUNDS):
        job = await scene.submit("gated", port=lines.port, answer=n)
        await lines.arrive()
        if n % 2:
            lines.let_go()
        stopping = asyncio.create_task(scene.queue.stop_job(job.job_id))
        if not n % 2:
            lines.let_go()
        try:
            told = await stopping
        except InvalidJobStateError:
            assert (await scene.done(job)).status == "completed"
        else:
            record = await scene.done(job)
            assert record.status == "stopped"
            assert told.status == "stopped" or told.stop_requested  # it may take long to end
            assert record.result in (n, None)


@pytest.mark.parametrize("settings", ["persistent"], indirect=True)
async def test_row_29_finish_against_adoption(scene: Scene, lines: Lifelines) -> None:
    before = 0
    for n in range(ROUNDS):
        job = await scene.submit("gated", port=lines.port, answer=n)
        await lines.arrive()
        before = await supervisor_pid(scene.queue, other_than=before)
        if n % 2:
            lines.let_go()
        os.kill(before, signal.SIGKILL)
        lines.let_go()
        record = await scene.done(job)
        assert (record.status, record.result) == ("completed", n)


async def test_row_29_delete_against_start(scene: Scene, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for n in range(ROUNDS):
        job_id = f"job-{n}"
        params = {"path": str(notes), "line": job_id}
        await scene.queue.add_job("note", job_id, params)
        scene.witness.told(job_id)
        verbs = [scene.queue.start_job(job_id), scene.queue.delete_job(job_id)]
        if n % 2:
            verbs.reverse()
        answers = await asyncio.gather(*verbs, return_exceptions=True)
        started, deleted = reversed(answers) if n % 2 else answers
        assert not isinstance(deleted, BaseException)
        assert deleted.status == "deleted"
        if isinstance(started, BaseException):
            assert isinstance(started, InvalidJobStateError)
            assert "deleted" in started.message
        record = await scene.queue.get_job_status(job_id)
        assert (record.status, record.reason) == ("deleted", "by client")


async def test_row_29_stop_against_stop(scene: Scene, lines: Lifelines) -> None:
    job = await scene.submit("gated", port=lines.port)
    await lines.arrive()
    told = await asyncio.gather(*(scene.queue.stop_job(job.job_id) for _ in range(5)))
    assert all(record.status == "stopped" or record.stop_requested for record in told)
    assert (await scene.done(job)).status == "stopped"
    await lines.end()


def finish(registry: Registry, job_id: str) -> object:
    return run_rows.finish(
        registry, f"run-of-{job_id}", Ending(states.COMPLETED, result="1", result_size=1), gone=True
    )


def interrupt(registry: Registry, job_id: str) -> object:
    ending = Ending(states.FAILED, error_code="interrupted", error_message="lost")
    return run_rows.finish(registry, f"run-of-{job_id}", ending, gone=True)


def stop(registry: Registry, job_id: str) -> object:
    return job_rows.request_stop(registry, job_id)


def delete(registry: Registry, job_id: str) -> object:
    return job_rows.delete(registry, job_id, "by client")


def put_back(registry: Registry, job_id: str) -> object:
    return run_rows.put_back(registry, f"run-of-{job_id}")


VERBS: list[Callable[[Registry, str], object]] = [finish, interrupt, stop, delete, put_back]


@pytest.mark.parametrize("first", VERBS)
def test_row_29_every_order(tmp_path: Path, first: Callable[[Registry, str], object]) -> None:
    """Of three processes, each with a connection of its own; a refusal changes nothing."""
    path = str(tmp_path / "registry.db")
    witness = Witness(path)
    registries = [Registry(path) for _ in range(3)]
    try:
        for n, (second, third) in enumerate(itertools.product(VERBS, VERBS)):
            job_id = running(registries[0], f"job-{n}")
            for registry, verb in zip(registries, (first, second, third), strict=True):
                before = witness.transitions(job_id)
                try:
                    changed = verb(registry, job_id)
                except QueueError:
                    changed = None
                if not changed:
                    assert witness.transitions(job_id) == before
            check_history(job_id, [(b, a) for b, a, _ in witness.transitions(job_id)])
            if job_rows.get(registries[0], job_id).status == "pending":
                job_rows.request_stop(registries[0], job_id)  # nothing waits for the next claim
    finally:
        for registry in registries:
            registry.close()


def running(registry: Registry, job_id: str) -> str:
    job_rows.add(registry, new_job(job_id))
    [claim] = run_rows.claim(registry, [f"run-of-{job_id}"])
    assert claim.job_id == job_id
    return job_id
