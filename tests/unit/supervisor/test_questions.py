"""What a run says of questions is not taken on trust."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_queue.supervisor.questions import parse_asked, parse_withdrawn

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
GOOD: dict[str, Any] = {"key": "a1.q1.n", "message": "How many?", "schema": SCHEMA}


def test_a_good_question_is_taken_beside_a_bad_one() -> None:
    [taken] = parse_asked({"questions": [{**GOOD, "key": "../x"}, GOOD]})
    assert taken.to_dict() == GOOD


@pytest.mark.parametrize(
    "questions",
    [None, 7, "x", {}, [None], [[]], ["x"], [{}], *([{**GOOD, name: None}] for name in GOOD)],
)
def test_what_is_no_list_of_questions_is_nothing(questions: Any) -> None:
    assert parse_asked({"questions": questions}) == []
    assert parse_asked({}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"key": "n"},
        {"key": "a1.q1.n/../.."},
        {"key": "a1.q1." + "x" * 65},
        {"key": "a\u0661.q1.n"},
        {"key": ["a1.q1.n"]},
        {"message": ["x"]},
        {"schema": {"type": "object", "properties": {"n": {"type": "object"}}}},
        {"schema": {"type": "object", "properties": {"n": {"type": "string", "title": "\ud800"}}}},
        {
            "schema": {
                "type": "object",
                "properties": {"n": {"type": "string", "title": "x" * 20_000}},
            }
        },
    ],
)
def test_what_could_not_be_shown_is_left_out(change: dict[str, Any]) -> None:
    assert parse_asked({"questions": [{**GOOD, **change}]}) == []


def test_a_message_is_cut_and_made_unicode() -> None:
    [taken] = parse_asked({"questions": [{**GOOD, "message": "\ud800" + "x" * 9000}]})
    assert taken.message == "?" + "x" * 4095


@pytest.mark.parametrize("keys", [None, 7, "a1.q1.n", {}])
def test_what_is_no_list_of_keys_withdraws_nothing(keys: Any) -> None:
    assert parse_withdrawn({"keys": keys}) == []
    assert parse_withdrawn({}) == []


def test_keys_of_ours_are_withdrawn() -> None:
    assert parse_withdrawn({"keys": ["a1.q1.n", 7, None, "x", ["a1.q1.n"]]}) == ["a1.q1.n"]
