"""Questions in the registry: stored once, answered once, gone with the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.answers import Answer
from mcp_queue.errors import InvalidAnswerError, JobNotFoundError, QuestionNotOpenError
from mcp_queue.jobs import job_rows, question_rows, run_rows
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.questions import JobQuestion
from support.rows import new_job

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FIRST = JobQuestion("a1.q1.n", "How many?", SCHEMA)
SECOND = JobQuestion("a1.q2.n", "How many then?", SCHEMA)


@pytest.fixture
def running(registry: Registry) -> Registry:
    job_rows.add(registry, new_job("j"))
    run_rows.claim(registry, ["r"])
    return registry


def say(registry: Registry, *asked: JobQuestion, withdrawn: list[str] | None = None) -> None:
    run_rows.record_events(
        registry,
        "r",
        None,
        started=True,
        progress=None,
        description=None,
        asked=asked,
        withdrawn=withdrawn or [],
    )


def keys(registry: Registry) -> list[str]:
    return [each.key for each in job_rows.get(registry, "j").questions]


def test_questions_stand_in_the_record_in_order_and_change_it(running: Registry) -> None:
    before = job_rows.get(running, "j")
    assert before.questions == ()
    assert "questions" not in before.to_dict()
    say(running, SECOND, FIRST)
    after = job_rows.get(running, "j")
    assert after.questions == (SECOND, FIRST)
    assert after.rev > before.rev
    assert after.to_dict()["questions"][1] == {
        "key": "a1.q1.n",
        "message": "How many?",
        "schema": SCHEMA,
    }
    assert job_rows.changed_since(running, before.rev, 10) == [after]
    assert job_rows.page(running, None, 10, None)[0] == [after]


def test_what_is_said_twice_is_asked_once_and_an_answer_stays(running: Registry) -> None:
    say(running, FIRST)
    question_rows.answer(running, "j", FIRST.key, "accept", {"n": 1})
    say(running, FIRST, SECOND)
    assert keys(running) == [SECOND.key]


def test_the_first_answer_wins_and_the_second_is_told(running: Registry) -> None:
    say(running, FIRST)
    before = job_rows.get(running, "j").rev
    record = question_rows.answer(running, "j", FIRST.key, "accept", {"n": 1})
    assert record.questions == ()
    assert record.rev > before
    with pytest.raises(QuestionNotOpenError) as caught:
        question_rows.answer(running, "j", FIRST.key, "decline", None)
    assert "answered already (accept)" in caught.value.message
    [told] = question_rows.to_deliver(running)
    assert (told.run_id, told.key) == ("r", "a1.q1.n")
    assert told.answer == Answer("accept", {"n": 1})
    question_rows.delivered(running, [told])
    assert question_rows.to_deliver(running) == []


def test_the_key_may_be_left_out_while_there_is_one(running: Registry) -> None:
    say(running, FIRST)
    assert question_rows.answer(running, "j", None, "decline", None).questions == ()
    say(running, SECOND, JobQuestion("a1.q2.m", "And?", SCHEMA))
    with pytest.raises(QuestionNotOpenError) as caught:
        question_rows.answer(running, "j", None, "decline", None)
    assert "2 questions at once" in caught.value.message
    assert "'a1.q2.n', 'a1.q2.m'" in caught.value.hint


@pytest.mark.parametrize(
    ("action", "content", "words"),
    [
        ("accept", None, "'n' is missing"),
        ("accept", {"n": "x"}, "'n' should be a whole number"),
        ("accept", {"n": 1, "m": 2}, "'m' is no field"),
        ("accept", [1], "content is an object"),
        ("perhaps", {"n": 1}, "accept, decline, cancel"),
    ],
)
def test_an_answer_that_does_not_fit_changes_nothing(
    running: Registry, action: str, content: Any, words: str
) -> None:
    say(running, FIRST)
    with pytest.raises(InvalidAnswerError) as caught:
        question_rows.answer(running, "j", None, action, content)
    assert words in caught.value.message
    assert FIRST.key in caught.value.message
    assert "n: a whole number" in caught.value.hint
    assert keys(running) == [FIRST.key]


def test_the_content_of_a_declined_question_counts_for_nothing(running: Registry) -> None:
    say(running, FIRST)
    question_rows.answer(running, "j", None, "cancel", {"n": "x"})
    assert question_rows.to_deliver(running)[0].answer == Answer("cancel")


def test_what_is_withdrawn_is_no_longer_asked(running: Registry) -> None:
    say(running, FIRST, SECOND)
    say(running, withdrawn=[FIRST.key])
    assert keys(running) == [SECOND.key]
    with pytest.raises(QuestionNotOpenError, match="asks no such question"):
        question_rows.answer(running, "j", FIRST.key, "decline", None)
    say(running, FIRST, withdrawn=[FIRST.key])  # read again by another supervisor
    assert keys(running) == [SECOND.key]


def test_what_was_answered_before_it_is_withdrawn_stays(running: Registry) -> None:
    say(running, FIRST, SECOND)
    question_rows.answer(running, "j", FIRST.key, "decline", None)
    say(running, withdrawn=[FIRST.key, SECOND.key])
    [delivery] = question_rows.to_deliver(running)
    assert delivery.key == FIRST.key
    assert question_rows.answered(running, delivery.run_id) == {FIRST.key}
    assert question_rows.answered(running, "another") == set()


@pytest.mark.parametrize("way", ["finish", "put_back", "delete"])
def test_all_questions_go_with_the_run(running: Registry, way: str) -> None:
    say(running, FIRST, SECOND)
    question_rows.answer(running, "j", FIRST.key, "decline", None)
    if way == "finish":
        run_rows.finish(running, "r", Ending("completed"), gone=True)
    elif way == "put_back":
        run_rows.put_back(running, "r")
    else:
        job_rows.delete(running, "j", "by client")
    assert running.value("SELECT count(*) FROM questions") == 0
    assert question_rows.to_deliver(running) == []
    with pytest.raises(QuestionNotOpenError):
        question_rows.answer(running, "j", SECOND.key, "decline", None)


def test_a_run_that_has_no_job_any_more_asks_nothing(running: Registry) -> None:
    run_rows.finish(running, "r", Ending("completed"), gone=False)
    say(running, FIRST)
    assert running.value("SELECT count(*) FROM questions") == 0


def test_a_job_that_is_being_stopped_asks_nothing(running: Registry) -> None:
    say(running, FIRST)
    assert job_rows.request_stop(running, "j").questions == ()
    with pytest.raises(QuestionNotOpenError, match="being stopped"):
        question_rows.answer(running, "j", FIRST.key, "decline", None)


def test_who_asks_nothing_is_said(registry: Registry) -> None:
    with pytest.raises(JobNotFoundError):
        question_rows.answer(registry, "j", None, "decline", None)
    job_rows.add(registry, new_job("j"))
    with pytest.raises(QuestionNotOpenError, match="it asks nothing, it is pending"):
        question_rows.answer(registry, "j", None, "decline", None)
