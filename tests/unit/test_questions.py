"""A question in memory, and which answers fit it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from mcp_queue.answers import Answer
from mcp_queue.forms import TRIES
from mcp_queue.questions import JobQuestion, UnansweredError
from mcp_queue.server.asking.person import Person
from mcp_queue.server.protocol.eras import InputNeeded

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
QUESTION = JobQuestion("it", "How many?", SCHEMA)


def test_an_answer_that_fits_has_the_values_of_the_form() -> None:
    assert QUESTION.check("accept", {"n": 2.0}) == (Answer("accept", {"n": 2}), [])
    assert QUESTION.check("decline", {"n": "x"}) == (Answer("decline"), [])
    assert QUESTION.check("cancel", None) == (Answer("cancel"), [])


@pytest.mark.parametrize(
    ("action", "content", "wrong"),
    [
        ("accept", {"n": "x"}, "'n' should be a whole number, got 'x'"),
        ("accept", None, "'n' is missing"),
        ("accept", {"n": 1, "m": 2}, "'m' is no field"),
        ("agree", {"n": 1}, "action is one of accept, decline, cancel, got 'agree'"),
    ],
)
def test_what_does_not_fit_is_said(action: str, content: object, wrong: str) -> None:
    assert QUESTION.check(action, content)[1] == [wrong]


def test_a_form_of_a_client_may_have_more_fields() -> None:
    assert QUESTION.check_form("accept", {"n": 1, "m": 2}) == (Answer("accept", {"n": 1}), [])
    assert QUESTION.check_form("accept", [])[1]


def test_it_is_asked_again_with_what_was_wrong() -> None:
    assert QUESTION.with_problems([]) is QUESTION
    again = QUESTION.with_problems(["'n' is missing", "'m' is no field"])
    assert again.message == "How many?\n(Again, please: 'n' is missing; 'm' is no field.)"
    assert (again.key, again.schema) == (QUESTION.key, QUESTION.schema)


class Session:
    """A client that answers the forms it is sent as a test says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.messages: list[str] = []

    async def elicit_form(self, message: str, _schema: object, **_: object) -> Any:
        self.messages.append(message)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def accepted(**content: Any) -> Any:
    return SimpleNamespace(action="accept", content=content)


def person(session: Any, version: str = "2025-11-25", **given: Any) -> Person:
    context: Any = SimpleNamespace(
        protocol_version=version, session=session, request_id=1, params={"inputResponses": given}
    )
    return Person(context)


async def test_a_person_is_asked_until_the_answer_fits() -> None:
    session = Session(accepted(n="x"), accepted(n=3))
    asked = person(session, it={"action": "accept", "content": {"n": 1}})
    assert asked.valid_answers([QUESTION]) == {}  # of another era
    asked.require_answers([QUESTION])
    assert await asked.ask(QUESTION) == Answer("accept", {"n": 3})
    assert [message.count("Again") for message in session.messages] == [0, 1]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([accepted()] * TRIES, "does not fit: 'n' is missing"),
        ([MCPError(-32600, "no")], "could not show the form"),
    ],
)
async def test_a_person_who_gives_no_answer_is_asked_no_more(answers: Any, why: str) -> None:
    session = Session(*answers)
    with pytest.raises(UnansweredError, match=why):
        await person(session).ask(QUESTION)
    assert session.answers == []


@pytest.mark.parametrize(
    "given",
    [{}, {"it": {"roots": []}}, {"it": {"action": "accept", "content": {"n": "x"}}}],
)
def test_without_an_answer_that_fits_the_request_is_left(given: Any) -> None:
    asked = person(None, "2026-07-28", **given)
    assert asked.valid_answers([QUESTION]) == {}
    with pytest.raises(InputNeeded) as left:
        asked.require_answers([QUESTION])
    request = (left.value.result.input_requests or {})["it"]
    assert request.method == "elicitation/create"
    wrong = given.get("it", {}).get("content")
    assert ("(Again, please: 'n' should" in str(request)) is (wrong is not None)


def test_an_answer_that_came_with_the_request_is_taken() -> None:
    given = {"action": "accept", "content": {"n": 1, "more": True}}
    assert person(None, "2026-07-28", it=given).valid_answers([QUESTION]) == {
        "it": Answer("accept", {"n": 1})
    }
