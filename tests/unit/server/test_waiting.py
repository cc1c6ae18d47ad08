"""`queue_wait_job` over a queue without processes."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from mcp_queue.builtin.waiting import wait_for
from mcp_queue.commands.job import Job, Sink
from mcp_queue.errors import InvalidParamsError, JobNotFoundError
from mcp_queue.jobs.record import JobError
from mcp_queue.questions import JobQuestion
from mcp_queue.views import job_view, next_step
from support.fake_manager import FakeQueue, record


class Recorder(Sink):
    def __init__(self) -> None:
        self.states: list[tuple[float | None, str | None]] = []

    def progress(self, percent: float | None, description: str | None) -> None:
        self.states.append((percent, description))


async def wait(queue: Any, *job_ids: str, seconds: float = 30, mode: Any = "all") -> Any:
    sink = Recorder()
    answer = await wait_for(queue, job_ids, seconds, mode, Job("", 1, sink))
    return answer, sink.states


async def test_a_job_that_has_ended_is_answered_at_once() -> None:
    done = record(status="completed", result={"loss": 0.1}, result_size=12)
    answer, _ = await wait(FakeQueue(done), "job-1", seconds=0)
    assert answer["success"] is True
    assert answer["timed_out"] is False
    assert answer["jobs"][0]["result"] == {"loss": 0.1}
    assert answer["jobs"][0]["success"] is True


async def test_it_follows_the_job_to_its_end() -> None:
    queue = FakeQueue(record(status="pending", queue_position=2))

    async def work() -> None:
        for percent in (25, 75):
            queue.change("job-1", status="running", progress=percent, description=f"at {percent}")
            await anyio.sleep(0.01)
        queue.change("job-1", status="completed", progress=100.0)

    working = asyncio.create_task(work())
    answer, states = await wait(queue, "job-1")
    await working
    assert answer["timed_out"] is False
    assert states[0] == (0, "waiting for a slot, position 2")
    assert (25, "at 25") in states
    assert states[-1] == (100, "completed")
    assert queue.watchers == 0


async def test_time_is_up() -> None:
    answer, _ = await wait(FakeQueue(record()), "job-1", seconds=0.01)
    assert answer["timed_out"] is True
    assert "queue_wait_job" in answer["next"]


async def test_any_of_several() -> None:
    queue = FakeQueue(record("one-1111111"), record("two-2222222", status="failed"))
    answer, states = await wait(queue, "one-1111111", "two-2222222", mode="any")
    assert answer["timed_out"] is False
    assert [view["job_id"] for view in answer["jobs"]] == ["one-1111111", "two-2222222"]
    assert "two-2222222" in answer["next"]
    assert states == [(50, "train one-1111: running (1 of 2 jobs ended)")]


async def test_unknown_and_missing_ids() -> None:
    with pytest.raises(JobNotFoundError):
        await wait(FakeQueue(), "gone")
    with pytest.raises(InvalidParamsError):
        await wait(FakeQueue())


async def test_unknown_ids_among_others_are_named() -> None:
    queue = FakeQueue(record("one", status="completed"))
    answer, _ = await wait(queue, "gone", "one", "never")
    assert [view["job_id"] for view in answer["jobs"]] == ["one"]
    assert (answer["success"], answer["not_found"]) == (True, ["gone", "never"])
    assert "Not known (any more): gone, never;" in answer["next"]
    answer, _ = await wait(queue, "one")
    assert "not_found" not in answer


async def test_an_unknown_id_ends_no_wait() -> None:
    queue = FakeQueue(record("one"))
    answer, _ = await wait(queue, "gone", "one", seconds=0.01, mode="any")
    assert (answer["timed_out"], answer["not_found"]) == (True, ["gone"])


async def watched(queue: FakeQueue) -> None:
    with anyio.fail_after(30):
        while not queue.watchers:  # noqa: ASYNC110 (nothing else runs in the loop)
            await asyncio.sleep(0)


@pytest.mark.parametrize("moment", ["before the watch", "while it is watched"])
async def test_a_job_that_is_forgotten_during_the_wait(moment: str) -> None:
    queue = FakeQueue(record("one"), record("two", status="completed"))
    if moment == "before the watch":
        queue.opening.clear()
    waiting = asyncio.create_task(wait(queue, "one", "two"))
    if moment == "while it is watched":
        await watched(queue)
    del queue.records["two"]
    queue.opening.set()
    await watched(queue)
    queue.change("one", status="completed")
    answer, _ = await waiting
    assert [view["job_id"] for view in answer["jobs"]] == ["one"]
    assert (answer["timed_out"], answer["not_found"]) == (False, ["two"])


async def test_all_are_forgotten_during_the_wait() -> None:
    queue = FakeQueue(record("one"), record("two"))
    queue.opening.clear()
    waiting = asyncio.create_task(wait(queue, "one", "two"))
    await asyncio.sleep(0)
    queue.records.clear()
    queue.opening.set()
    with pytest.raises(JobNotFoundError, match="'one'"):
        await waiting


async def test_a_large_result_gives_way_to_its_address() -> None:
    queue: Any = FakeQueue()
    queue.results["job-1"] = "x" * 50_000
    view = await job_view(queue, record(status="completed", result_size=50_002))
    assert view["result_preview"] == '"' + "x" * 1023
    assert view["result_uri"] == "queue://jobs/job-1/result"
    assert view["result_size"] == 50_002
    assert "result" not in view


async def test_the_inline_limit_is_the_settings() -> None:
    queue: Any = FakeQueue(max_inline_result=10)
    view = await job_view(queue, record(status="completed", result="x" * 20, result_size=22))
    assert view["result_preview"] == '"' + "x" * 20 + '"'
    nothing = await job_view(queue, record(status="completed", result_size=4))
    assert "result_uri" not in nothing


def test_the_next_step() -> None:
    assert "queue_start_job" in str(next_step(record(status="pending", queued=False)))
    assert "queue_wait_job" in str(next_step(record(status="pending")))
    failed = record(status="failed", error=JobError("exit", "it left"))
    assert "queue_get_job_logs" in str(next_step(failed))
    assert next_step(record(status="completed")) is None


async def test_what_the_person_alone_can_answer_is_named() -> None:
    fine = JobQuestion("agreed", "Sure?", {})
    alone = JobQuestion("signed", "Really?", {}, person=True)
    mixed, own = record("one", questions=(fine, alone)), record("two", questions=(alone,))
    words = "But do not answer signed yourself"
    assert words in str(next_step(mixed))
    answer, _ = await wait(FakeQueue(mixed), "one", seconds=0)
    assert words in answer["next"]
    answer, _ = await wait(FakeQueue(mixed, own), "one", "two", seconds=0)
    assert "do not answer signed of one, signed of two yourself" in answer["next"]
    for job in (record(questions=(fine,)), own):
        assert "But do not answer" not in str(next_step(job))
