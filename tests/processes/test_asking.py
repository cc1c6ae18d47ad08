"""A job asks, somebody answers, and whatever dies in between takes neither along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.errors import InvalidAnswerError, QuestionNotOpenError
from mcp_queue.jobs import events
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.manager import QueueManager
from mcp_queue.system import crash
from support.asking_commands import AskingJob
from support.invariants import becomes
from support.processes import GUARD
from support.queues import (
    done,
    freeze_supervisor,
    opened,
    run,
    submit,
    supervisor_pid,
    until,
    worker_pid,
)

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.questions import JobQuestion

YES = {"confirm": True}
VALUES = {"a1.q1.a": {"n": 4}, "a1.q1.b": YES, "a1.q1.answer": YES}


async def asked(queue: QueueManager, job: JobRecord, count: int = 1) -> tuple[JobQuestion, ...]:
    """The questions of the job once there are so many."""
    return (await until(queue, job, lambda now: len(now.questions) == count)).questions


async def answer(queue: QueueManager, job: JobRecord, content: Any, key: str | None = None) -> None:
    await queue.answer_job(job.job_id, key, "accept", content)


async def test_a_job_goes_on_with_its_answer(queue: QueueManager) -> None:
    job = await submit(queue, "confirms")
    [question] = await asked(queue, job)
    assert (question.key, question.message) == ("a1.q1.answer", "Go on?")
    now = await queue.get_job_status(job.job_id)
    assert (now.status, now.progress, now.description) == ("running", 10, "before")
    after = await queue.answer_job(job.job_id, question.key, "accept", {"confirm": False})
    assert after.questions == ()
    assert (await done(queue, job)).result == [False, "accept", {"confirm": False}]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_the_person_may_say_no(queue: QueueManager, action: str) -> None:
    job = await submit(queue, "confirms")
    await asked(queue, job)
    await queue.answer_job(job.job_id, action=action)
    assert (await done(queue, job)).result == [False, action, {}]


async def test_an_async_command_works_on_while_it_waits(queue: QueueManager) -> None:
    job = await submit(queue, "confirms_async")
    await until(queue, job, lambda now: now.questions and now.progress == 50)
    await answer(queue, job, YES)
    assert (await done(queue, job)).result == [True, "accept", True]


async def test_many_questions_are_answered_in_any_order(queue: QueueManager) -> None:
    job = await submit(queue, "asks_many")
    assert [each.key for each in await asked(queue, job, 2)] == ["a1.q1.name", "a1.q1.colour"]
    with pytest.raises(QuestionNotOpenError, match="2 questions at once"):
        await answer(queue, job, {"name": "Ada"})
    with pytest.raises(InvalidAnswerError, match="'red', 'blue'"):
        await answer(queue, job, {"colour": "green"}, "a1.q1.colour")
    await answer(queue, job, {"colour": "blue"}, "a1.q1.colour")
    await answer(queue, job, {"name": "Ada"}, "a1.q1.name")
    [again] = await asked(queue, job)
    assert again.key == "a1.q2.answer"
    with pytest.raises(QuestionNotOpenError, match="answered already"):
        await answer(queue, job, {"name": "Eve"}, "a1.q1.name")
    await queue.answer_job(job.job_id, action="decline")
    assert (await done(queue, job)).result == {
        "name": ["accept", {"name": "Ada", "age": None}],
        "colour": ["accept", {"colour": "blue"}],
        "again": "decline",
    }
    with pytest.raises(QuestionNotOpenError, match="it is completed"):
        await answer(queue, job, YES)


@pytest.mark.parametrize("name", ["asks_in_tasks", "asks_in_threads"])
async def test_each_who_asks_gets_its_own_answer(queue: QueueManager, name: str) -> None:
    job = await submit(queue, name)
    for question in reversed(await asked(queue, job, 2)):
        number = int(question.message.split()[1].rstrip("?"))
        await answer(queue, job, {"n": 10 + number}, question.key)
    assert (await done(queue, job)).result == [10, 11]


async def test_time_that_is_up_withdraws_the_question_and_keeps_what_came(
    queue: QueueManager,
) -> None:
    job = await submit(queue, "gives_up", seconds=1.0)
    await asked(queue, job, 2)
    await answer(queue, job, {"n": 4}, "a1.q1.a")
    still = await until(queue, job, lambda now: [q.key for q in now.questions] == ["a1.q2.answer"])
    assert still.questions[0].message == "Still there?"
    with pytest.raises(QuestionNotOpenError):
        await answer(queue, job, YES, "a1.q1.b")
    await answer(queue, job, YES)
    assert (await done(queue, job)).result == [
        "Nobody answered within 1 seconds: 'b'.",
        {"a": {"n": 4}},
        "accept",
    ]


@pytest.mark.parametrize("name", ["gives_up", "gives_up_async"])
@pytest.mark.parametrize("dies", [False, True])
async def test_an_answer_that_was_taken_before_the_question_was_withdrawn_counts(
    persistent: Settings, name: str, dies: bool
) -> None:
    async with opened(persistent) as queue:
        job = await submit(queue, name, seconds=0.5)
        questions = await asked(queue, job, 2 if name == "gives_up" else 1)
        supervisor = await freeze_supervisor(queue)  # so that it learns all of it at once
        for question in questions:
            await answer(queue, job, VALUES[question.key], question.key)
        run_id = (await queue.record_of(job.job_id)).run_id
        folder = RegistryFolder(queue.registry_path).run(str(run_id))
        await becomes(
            lambda: events.WITHDRAW in [line["e"] for line in events.read(folder.events, 0)[0]],
            "a job whose time is not up",
        )
        os.kill(supervisor, signal.SIGKILL if dies else signal.SIGCONT)
        record = await done(queue, job)
        assert (record.status, record.result) == ("completed", [] if name == "gives_up" else None)


async def test_a_timeout_that_is_not_caught_is_the_error_of_the_job(queue: QueueManager) -> None:
    record = await run(queue, "gives_up_async", seconds=0.01)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "exception")
    assert "Nobody answered within 0.01 seconds" in record.error.message


@pytest.mark.parametrize("name", ["catches_the_stop", "catches_the_stop_async"])
async def test_a_stop_ends_the_wait(settings: Settings, tmp_path: Path, name: str) -> None:
    tidied = tmp_path / "tidied"
    async with opened(replace(settings, stop_grace_seconds=GUARD)) as queue:
        job = await submit(queue, name, path=str(tidied))
        await asked(queue, job)
        record = await queue.stop_job(job.job_id)
        assert (record.status, record.error, record.questions) == ("stopped", None, ())
        assert record.result == ("asked no more" if name == "catches_the_stop" else None)
        assert tidied.read_text() == "tidied up"


@pytest.mark.parametrize("name", ["confirms", "confirms_async", "blocks_the_loop"])
async def test_a_stop_needs_no_help_of_the_command(settings: Settings, name: str) -> None:
    async with opened(replace(settings, stop_grace_seconds=GUARD)) as queue:
        job = await submit(queue, name)
        await asked(queue, job)
        record = await queue.stop_job(job.job_id)
        assert (record.status, record.error, record.exit_code) == ("stopped", None, None)
        assert (await queue.get_job_logs(job.job_id))["stderr"] == []


async def test_a_deleted_job_asks_nothing(queue: QueueManager) -> None:
    job = await submit(queue, "confirms")
    await asked(queue, job)
    assert (await queue.delete_job(job.job_id)).questions == ()
    with pytest.raises(QuestionNotOpenError, match="it is deleted"):
        await answer(queue, job, YES)


async def test_the_next_attempt_asks_anew(settings: Settings) -> None:
    async with opened(replace(settings, retry_backoff_seconds=0.01)) as queue:
        job = await submit(queue, "asks_in_each_attempt")
        [question] = await asked(queue, job)
        assert question.key == "a1.q1.answer"
        os.kill(await worker_pid(queue, job), signal.SIGKILL)
        await until(queue, job, lambda now: [q.key for q in now.questions] == ["a2.q1.answer"])
        with pytest.raises(QuestionNotOpenError):
            await answer(queue, job, YES, "a1.q1.answer")
        await answer(queue, job, YES)
        assert (await done(queue, job)).result == [2, "accept"]


async def test_what_cannot_be_asked_is_the_error_of_the_job(queue: QueueManager) -> None:
    record = await run(queue, "asks_what_cannot_be")
    assert record.error is not None
    assert "the field 'path' is of type 'object'" in record.error.message


async def test_a_job_class_asks_too(queue: QueueManager) -> None:
    await queue.add_job(AskingJob, "class", {})
    job = await queue.start_job("class")
    await asked(queue, job)
    await answer(queue, job, YES)
    assert (await done(queue, job)).result == {"said": "accept"}


@pytest.mark.skipif(sys.platform != "linux", reason="finds its folder through /proc")
async def test_forged_lines_harm_nobody(queue: QueueManager) -> None:
    job = await submit(queue, "forges")
    pid = await supervisor_pid(queue)
    [question] = await asked(queue, job)
    assert question.message == "In earnest?"
    await answer(queue, job, YES)
    assert (await done(queue, job)).result == "accept"
    assert await supervisor_pid(queue) == pid


async def test_who_asks_nothing_loads_nothing(queue: QueueManager) -> None:
    assert (await run(queue, "reports_what_it_imported")).result == []


async def test_the_supervisor_is_killed_while_a_job_waits(persistent: Settings) -> None:
    async with opened(persistent) as queue:
        job = await submit(queue, "confirms")
        [before] = await asked(queue, job)
        killed = await supervisor_pid(queue)
        os.kill(killed, signal.SIGKILL)
        await supervisor_pid(queue, other_than=killed)
        assert (await queue.get_job_status(job.job_id)).questions == (before,)
        await answer(queue, job, YES)
        assert (await done(queue, job)).result == [True, "accept", YES]


async def test_an_answer_without_a_supervisor_is_delivered_by_the_next(
    persistent: Settings,
) -> None:
    async with opened(persistent) as queue:
        job = await submit(queue, "confirms")
        await asked(queue, job)
        killed = await freeze_supervisor(queue)  # so that it cannot deliver
        await answer(queue, job, YES)
        os.kill(killed, signal.SIGKILL)
        assert (await done(queue, job)).result == [True, "accept", YES]


@pytest.mark.parametrize("point", ["deliver.before_record", "deliver.after_record"])
async def test_an_answer_that_is_delivered_twice_counts_once(
    persistent: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, point: str
) -> None:
    monkeypatch.setenv(crash.POINT, point)
    monkeypatch.setenv(crash.ONCE, str(tmp_path / "crashed"))
    async with opened(persistent) as queue:
        job = await submit(queue, "asks_many")
        await asked(queue, job, 2)
        await answer(queue, job, {"colour": "red"}, "a1.q1.colour")
        await answer(queue, job, {"name": "Ada"}, "a1.q1.name")
        await asked(queue, job)
        await answer(queue, job, YES)
        record = await done(queue, job)
        assert record.result["colour"] == ["accept", {"colour": "red"}]
        assert (tmp_path / "crashed").exists()


async def test_all_but_the_worker_are_gone_and_the_question_stands(persistent: Settings) -> None:
    async with await QueueManager.open(persistent) as queue:
        job = await submit(queue, "confirms")
        await asked(queue, job)
        worker = await worker_pid(queue, job)
        supervisor = await supervisor_pid(queue)
    os.kill(supervisor, signal.SIGKILL)
    async with opened(persistent) as queue:
        assert (await asked(queue, job))[0].message == "Go on?"
        assert await worker_pid(queue, job) == worker
        await answer(queue, job, YES)
        assert (await done(queue, job)).result == [True, "accept", YES]


async def test_a_worker_that_is_killed_while_it_waits_takes_the_question_along(
    queue: QueueManager,
) -> None:
    job = await submit(queue, "confirms")
    await asked(queue, job)
    os.kill(await worker_pid(queue, job), signal.SIGKILL)
    record = await done(queue, job)
    assert (record.status, record.signal, record.questions) == ("failed", "SIGKILL", ())


async def test_two_who_answer_at_once_are_told_who_was_first(persistent: Settings) -> None:
    async with opened(persistent) as queue, await QueueManager.open(persistent) as other:
        job = await submit(queue, "confirms")
        await asked(queue, job)
        outcomes: list[str] = []
        for each, content in ((queue, True), (other, False)):
            try:
                await each.answer_job(job.job_id, None, "accept", {"confirm": content})
                outcomes.append("won")
            except QuestionNotOpenError:
                outcomes.append("told")
        assert sorted(outcomes) == ["told", "won"]
        assert (await done(queue, job)).result[2] == {"confirm": outcomes[0] == "won"}


def test_importing_the_names_costs_neither_pydantic_nor_dataclasses() -> None:
    code = (
        "import sys; from mcp_queue import Answer, Question, Job;"
        "print(sorted({'pydantic', 'dataclasses', 'inspect', 'asyncio'} & {*sys.modules}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=GUARD
    )
    assert shown.stdout.strip() == "[]"


async def test_the_ways_in_the_folder_are_lines(persistent: Settings) -> None:
    async with opened(persistent) as queue:
        job = await submit(queue, "confirms")
        await asked(queue, job)
        await answer(queue, job, YES)
        record = await done(queue, job)
        assert record.run_id is not None
        folder = RegistryFolder(queue.registry_path).run(record.run_id)
        said, _ = events.read(folder.events, 0)
        kinds = [line["e"] for line in said]
        assert kinds == ["started", "progress", "ask", "progress", "outcome"]
        told, _ = events.read(folder.control, 0)
        assert told == [
            {"v": 1, "e": "answer", "key": "a1.q1.answer", "action": "accept", "content": YES}
        ]
