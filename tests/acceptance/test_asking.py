"""What jobs ask reaches the person by every way that a client has, and the first answer counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp_types import ElicitRequestFormParams, ElicitResult

from support.serving import Setup, call, ended, read, refused

if TYPE_CHECKING:
    from collections.abc import Callable


COMMANDS = str(Path(__file__).parents[1] / "support" / "asking_commands.py")
YES = {"confirm": True}
VALUES = {"confirm": True, "name": "Ada", "colour": "blue", "user_name": "Ada", "n": 7}


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, {"stop_grace_seconds": 0.5}, [COMMANDS])


class Person:
    """Fills in forms as a test says; the forms that it saw."""

    def __init__(self, decide: Callable[[ElicitRequestFormParams], Any] | None = None) -> None:
        self.forms: list[ElicitRequestFormParams] = []
        self.decide = decide

    @property
    def messages(self) -> list[str]:
        return [form.message for form in self.forms]

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        del context
        self.forms.append(params)
        decided = self.decide(params) if self.decide is not None else None
        if isinstance(decided, ElicitResult):
            return decided
        fields = params.requested_schema["properties"]
        return ElicitResult(
            action="accept", content={name: VALUES[name] for name in fields if name in VALUES}
        )


def person_who(action: Any) -> Person:
    return Person(lambda _: ElicitResult(action=action))


async def test_an_open_wait_asks_for_all_that_its_job_asks(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        job_id = (await call(client, "asks_many"))["job_id"]
        view = await ended(client, job_id)
    assert view["result"] == {
        "name": ["accept", {"name": "Ada", "age": None}],
        "colour": ["accept", {"colour": "blue"}],
        "again": "accept",
    }
    assert sorted(person.messages) == ["A colour?", "Once more?", "Your name?"]
    assert "questions" not in view


async def test_one_wait_asks_for_many_jobs(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        ids = [(await call(client, "confirms"))["job_id"] for _ in range(3)]
        answer = await call(client, "queue_wait_job", job_ids=ids, timeout_seconds=120)
    assert [view["result"] for view in answer["jobs"]] == [[True, "accept", YES]] * 3
    assert person.messages == ["Go on?"] * 3


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_says_no_has_answered(setup: Setup, mode: str, action: str) -> None:
    async with setup.client(mode, elicitation_callback=person_who(action)) as client:
        job_id = (await call(client, "confirms"))["job_id"]
        assert (await ended(client, job_id))["result"] == [False, action, {}]


async def test_a_form_that_does_not_fit_is_shown_again_with_the_reason(
    setup: Setup, mode: str
) -> None:
    wrong = ElicitResult(action="accept", content={"confirm": "perhaps"})
    person = Person(lambda form: wrong if "Again" not in form.message else None)
    async with setup.client(mode, elicitation_callback=person) as client:
        job_id = (await call(client, "confirms"))["job_id"]
        assert (await ended(client, job_id))["result"] == [True, "accept", YES]
    assert person.messages[0] == "Go on?"
    assert "'confirm' should be true or false" in person.messages[1]


async def test_without_forms_the_wait_returns_with_the_questions_and_what_to_do(
    setup: Setup, mode: str
) -> None:
    async with setup.client(mode) as client:
        job_id = (await call(client, "asks_many"))["job_id"]
        answer = await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
        assert answer["timed_out"] is False
        assert "queue_answer_job" in answer["next"]
        [view] = answer["jobs"]
        assert view["status"] == "running"
        name, colour = view["questions"]
        assert (name["key"], name["message"]) == ("a1.q1.name", "Your name?")
        assert name["schema"]["required"] == ["name"]
        assert "queue_answer_job" in view["next"]
        assert (await read(client, f"queue://jobs/{job_id}"))["questions"] == [name, colour]
        [listed] = (await call(client, "queue_list_jobs"))["jobs"]
        assert listed["questions"] == [name, colour]

        for arguments, code, words in (
            ({"content": {"name": "Ada"}}, "question_not_open", "2 questions"),
            ({"key": "a1.q7.x"}, "question_not_open", "a1.q7.x"),
            ({"key": name["key"]}, "invalid_answer", "'name' is missing"),
            ({"key": name["key"], "content": {"name": 7}}, "invalid_answer", "text, got 7"),
            ({"key": name["key"], "action": "maybe"}, "invalid_params", "maybe"),
        ):
            error = await refused(client, "queue_answer_job", job_id=job_id, **arguments)
            assert error["code"] == code
            assert words in error["message"] + error["hint"]

        named = {"key": name["key"], "content": {"name": "Ada"}}
        view = await call(client, "queue_answer_job", job_id=job_id, **named)
        assert view["questions"] == [colour]
        error = await refused(client, "queue_answer_job", job_id=job_id, **named)
        assert "answered already" in error["message"]
        await call(client, "queue_answer_job", job_id=job_id, action="decline")
        await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
        await call(client, "queue_answer_job", job_id=job_id, content=YES)
        assert (await ended(client, job_id))["result"]["colour"] == ["decline", {}]
        error = await refused(client, "queue_answer_job", job_id=job_id, content=YES)
        assert (error["code"], "it is completed" in error["message"]) == ("question_not_open", True)


async def test_a_stop_withdraws_what_is_asked(setup: Setup, mode: str) -> None:
    async with setup.client(mode) as client:
        job_id = (await call(client, "confirms"))["job_id"]
        await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
        stopped = await call(client, "queue_stop_job", job_id=job_id)
        assert stopped["status"] == "stopped"
        assert "questions" not in stopped


async def test_the_person_fills_in_what_the_caller_left_out(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        assert (await call(client, "greets"))["result"] == "Dear Ada, 3"
        assert (await call(client, "greets", age=9, polite=False))["result"] == "Hey Ada, 9"
        assert (await call(client, "greets", age=1, user_name="Eve"))["result"] == "Dear Eve, 1"
        job_id = (await call(client, "greets_later"))["job_id"]
        assert (await ended(client, job_id))["result"] == "Dear Ada"
        first, second, third = person.forms
        assert first.requested_schema == {
            "type": "object",
            "properties": {
                "user_name": {"type": "string", "description": "Whom to greet."},
                "age": {"type": "integer", "minimum": 1, "default": 3},
            },
            "required": ["user_name"],
        }
        assert [*second.requested_schema["properties"]] == ["user_name"]
        assert "Greets later" in third.message
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        schema = tools["greets"].input_schema
        assert "required" not in schema
        assert schema["properties"]["user_name"]["description"] == (
            "Whom to greet. If left out, the user is asked."
        )


async def test_nobody_is_asked_in_vain(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        error = await refused(client, "greets_later", user_nam="Ada")
        assert (error["code"], "'user_nam'" in error["message"]) == ("invalid_params", True)
        answer = await client.call_tool("greets", {"polite": "sometimes"})
        assert answer.is_error
    assert person.forms == []


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_declines_to_fill_in_declines_the_call(
    setup: Setup, mode: str, action: str
) -> None:
    async with setup.client(mode, elicitation_callback=person_who(action)) as client:
        error = await refused(client, "greets_later")
        assert (error["code"], "'user_name'" in error["message"]) == ("declined", True)
        assert (await call(client, "queue_list_jobs"))["jobs"] == []


async def test_where_nobody_can_be_asked_what_is_missing_is_named(setup: Setup, mode: str) -> None:
    async with setup.client(mode) as client:
        error = await refused(client, "greets_later")
        assert error["code"] == "invalid_params"
        assert "'user_name' is missing" in error["message"]
        answer = await client.call_tool("greets", {"user_name": "Ada"})
        assert answer.structured_content == {"result": "Dear Ada, 3"}


async def test_what_is_filled_in_wrongly_is_asked_again(setup: Setup, mode: str) -> None:
    wrong = ElicitResult(action="accept", content={"user_name": "Ada", "age": 0})
    person = Person(lambda form: wrong if "Again" not in form.message else None)
    async with setup.client(mode, elicitation_callback=person) as client:
        assert (await call(client, "greets"))["result"] == "Dear Ada, 3"
    assert "'age' should be a whole number >= 1, got 0" in person.messages[1]


async def test_a_plain_command_asks_its_caller(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        assert (await call(client, "plain"))["result"] == [True, {"n": 7}]
        assert (await call(client, "plain_async"))["result"] == {"a": "accept", "b": "accept"}
        assert person.messages[:2] == ["Sure?", "How many?"]
        answer = await client.call_tool("plain_wrong", {})
        assert answer.is_error
        assert "await job.ask_async" in str(answer.content[0])


async def test_what_was_filled_in_is_not_asked_again(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        assert (await call(client, "asks_and_asks"))["result"] == "Ada accept accept"
    assert [message.split(":")[0] for message in person.messages] == [
        "Asks and asks",
        "Sure?",
        "Really?",
    ]


async def test_a_plain_command_without_anybody_to_ask_says_so(setup: Setup, mode: str) -> None:
    async with setup.client(mode) as client:
        error = await client.call_tool("plain", {})
        assert error.is_error
        assert "nobody_to_ask" in str(error.content[0])
        assert "Queue the command" in str(error.content[0])


async def test_a_call_that_waits_for_its_job_asks(setup: Setup, mode: str) -> None:
    person = Person()
    async with setup.client(mode, elicitation_callback=person) as client:
        view = await call(client, "waited_for")
        assert (view["status"], view["result"]) == ("completed", "accept")
        assert person.messages == ["Go on?"]
        assert len((await call(client, "queue_list_jobs"))["jobs"]) == 1


async def test_a_call_that_waits_and_cannot_ask_returns_the_question(
    setup: Setup, mode: str
) -> None:
    async with setup.client(mode) as client:
        view = await call(client, "waited_for")
        assert (view["status"], view["questions"][0]["message"]) == ("running", "Go on?")
        await call(client, "queue_answer_job", job_id=view["job_id"], action="decline")
        assert (await ended(client, view["job_id"]))["result"] == "decline"


async def test_a_waiting_job_survives_its_server(persistent: Setup, mode: str) -> None:
    persistent.commands = [COMMANDS]
    async with persistent.client(mode) as client:
        job_id = (await call(client, "confirms"))["job_id"]
        await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
    async with persistent.client(mode) as client:
        view = await call(client, "queue_get_job_status", job_id=job_id)
        assert view["questions"][0]["key"] == "a1.q1.answer"
        await call(client, "queue_answer_job", job_id=job_id, content=YES)
        assert (await ended(client, job_id))["result"] == [True, "accept", YES]
