"""Questions on the wire of each era: forms that open and close, tasks that need input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.serving import Setup
from support.speaking import MODERN, Speaker, speaking

if TYPE_CHECKING:
    from support.rawclient import Message

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).parents[1] / "support" / "asking_commands.py")
YES = {"action": "accept", "content": {"confirm": True}}
FORMS: dict[str, Any] = {"elicitation": {}}
KEY = "a1.q1.answer"
REQUEST = {
    "method": "elicitation/create",
    "params": {
        "mode": "form",
        "message": "Go on?",
        "requestedSchema": {
            "type": "object",
            "properties": {"confirm": {"type": "boolean", "title": "Yes"}},
            "required": ["confirm"],
        },
    },
}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, {"stop_grace_seconds": 0.5}, [COMMANDS])


@pytest.fixture(params=["2025-06-18", "2025-11-25"])
def era(request: pytest.FixtureRequest) -> str:
    return request.param


def job_of(speaker: Speaker, tool: str = "confirms", **arguments: Any) -> str:
    """The id of a new job, whatever answers."""
    result = speaker.call(tool, **arguments)
    return result.get("taskId") or result["structuredContent"]["job_id"]


def wait_for(speaker: Speaker, *job_ids: str, seconds: float = 120) -> int:
    """Begin to wait; the id of the request."""
    arguments = {"job_ids": [*job_ids], "timeout_seconds": seconds}
    params = speaker.params(name="queue_wait_job", arguments=arguments)
    return speaker.client.post("tools/call", params)


def waited(speaker: Speaker, request_id: int) -> dict[str, Any]:
    """What a wait was answered with."""
    return speaker.client.answer(request_id).message["result"]["structuredContent"]


def form(speaker: Speaker, number: int = 0) -> Message:
    """A form that the server asked for."""
    found: list[Message] = []

    def is_it(received: Any) -> bool:
        if received.method == "elicitation/create" and received.message not in found:
            found.append(received.message)
        return len(found) > number

    return speaker.client.wait_for(is_it).message


def fill_in(speaker: Speaker, asked: Message, **result: Any) -> None:
    speaker.client.send({"jsonrpc": "2.0", "id": asked["id"], "result": result})


def withdrawn(speaker: Speaker, asked: Message) -> None:
    """Wait until the server has taken the form back."""
    speaker.told("notifications/cancelled", requestId=asked["id"])


def view_of(speaker: Speaker, job_id: str) -> dict[str, Any]:
    return speaker.call("queue_get_job_status", job_id=job_id)["structuredContent"]


def test_a_form_is_asked_and_answered(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        wait = wait_for(speaker, job_of(speaker))
        asked = form(speaker)
        assert {key: asked[key] for key in ("method", "params")} == REQUEST
        fill_in(speaker, asked, **YES)
        [view] = waited(speaker, wait)["jobs"]
        assert view["result"] == [True, "accept", {"confirm": True}]
        assert not [m for m in speaker.client.notifications if m["method"].endswith("cancelled")]


def test_an_answer_from_elsewhere_takes_the_form_back(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        job_id = job_of(speaker)
        wait = wait_for(speaker, job_id)
        asked = form(speaker)
        speaker.call("queue_answer_job", job_id=job_id, action="decline")
        withdrawn(speaker, asked)
        fill_in(speaker, asked, **YES)  # too late, and no error
        assert waited(speaker, wait)["jobs"][0]["result"] == [False, "decline", {}]


def test_two_waits_show_two_forms_and_the_first_answer_counts(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        job_id = job_of(speaker)
        waits = [wait_for(speaker, job_id) for _ in range(2)]
        first, second = form(speaker), form(speaker, 1)
        fill_in(speaker, second, action="decline")
        withdrawn(speaker, first)
        for wait in waits:
            assert waited(speaker, wait)["jobs"][0]["result"] == [False, "decline", {}]


def test_time_that_is_up_takes_the_form_back(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        job_id = job_of(speaker)
        while "questions" not in view_of(speaker, job_id):
            pass
        wait = wait_for(speaker, job_id, seconds=0.5)
        asked = form(speaker)
        withdrawn(speaker, asked)
        answer = waited(speaker, wait)
        assert answer["timed_out"] is True
        assert answer["jobs"][0]["questions"][0]["key"] == KEY
        fill_in(speaker, asked, **YES)
        assert "questions" in view_of(speaker, job_id)


def test_cancelling_the_wait_answers_nothing(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        job_id = job_of(speaker)
        wait = wait_for(speaker, job_id)
        asked = form(speaker)
        speaker.client.notify("notifications/cancelled", {"requestId": wait})
        withdrawn(speaker, asked)
        assert view_of(speaker, job_id)["questions"][0]["key"] == KEY
        speaker.call("queue_answer_job", job_id=job_id, content={"confirm": True})
        assert waited(speaker, wait_for(speaker, job_id))["jobs"][0]["result"][0] is True


def test_a_stop_takes_the_form_back(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        job_id = job_of(speaker)
        wait = wait_for(speaker, job_id)
        asked = form(speaker)
        speaker.call("queue_stop_job", job_id=job_id)
        withdrawn(speaker, asked)
        assert waited(speaker, wait)["jobs"][0]["status"] == "stopped"


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32601, "message": "Method not found"}},
        {"result": {"action": "perhaps"}},
        {"result": {}},
    ],
)
def test_a_client_that_cannot_ask_after_all_gets_the_question(
    setup: Setup, era: str, answer: dict[str, Any]
) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        wait = wait_for(speaker, job_of(speaker))
        speaker.client.send({"jsonrpc": "2.0", "id": form(speaker)["id"], **answer})
        found = waited(speaker, wait)
        assert (found["timed_out"], found["jobs"][0]["questions"][0]["key"]) == (False, KEY)


def test_forms_that_never_fit_end_with_the_question(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        wait = wait_for(speaker, job_of(speaker))
        for number in range(3):
            fill_in(speaker, form(speaker, number), action="accept", content={})
        assert waited(speaker, wait)["jobs"][0]["questions"][0]["key"] == KEY


@pytest.mark.parametrize(
    ("version", "declared"),
    [
        ("2024-11-05", {"elicitation": {}}),
        ("2025-03-26", {"elicitation": {}}),
        ("2025-06-18", {}),
        ("2025-11-25", {"elicitation": {"url": {}}}),
        (MODERN, {}),
        (MODERN, {"elicitation": {"url": {}}}),
    ],
)
def test_who_shows_no_forms_is_sent_none(
    setup: Setup, version: str, declared: dict[str, Any]
) -> None:
    with speaking(setup, version, **declared) as speaker:
        found = waited(speaker, wait_for(speaker, job_of(speaker)))
        assert found["jobs"][0]["questions"][0]["key"] == KEY
        assert speaker.call("greets_later")["isError"]
        assert all(r.method != "elicitation/create" for r in speaker.client.received)


@pytest.mark.parametrize(
    "declared", [{"form": {}}, {"form": {}, "url": {}}, {}], ids=["form", "both", "empty"]
)
def test_who_shows_forms_is_sent_them(setup: Setup, declared: dict[str, Any]) -> None:
    with speaking(setup, "2025-11-25", elicitation=declared) as speaker:
        wait_for(speaker, job_of(speaker))
        assert form(speaker)


def test_2025_06_18_gets_choices_in_its_own_words_and_no_lists(setup: Setup) -> None:
    with speaking(setup, "2025-06-18", **FORMS) as speaker:
        wait = wait_for(speaker, job_of(speaker, "asks_for_choices"))
        asked = form(speaker)
        assert asked["params"]["requestedSchema"]["properties"]["colour"] == {
            "type": "string",
            "enum": ["r", "b"],
            "enumNames": ["Red", "Blue"],
        }
        fill_in(speaker, asked, action="accept", content={"colour": "r"})
        found = waited(speaker, wait)  # lists of choices came with 2025-11-25
        assert found["jobs"][0]["questions"][0]["schema"]["properties"]["days"]["type"] == "array"


def test_2025_11_25_gets_titles_and_lists(setup: Setup) -> None:
    with speaking(setup, "2025-11-25", **FORMS) as speaker:
        wait = wait_for(speaker, job_of(speaker, "asks_for_choices"))
        asked = form(speaker)
        assert asked["params"]["requestedSchema"]["properties"]["colour"]["oneOf"]
        fill_in(speaker, asked, action="accept", content={"colour": "r"})
        fill_in(speaker, form(speaker, 1), action="accept", content={"days": ["mo"]})
        assert waited(speaker, wait)["jobs"][0]["result"] == [{"colour": "r"}, {"days": ["mo"]}]


def test_the_server_leaves_though_forms_are_open(setup: Setup, era: str) -> None:
    with speaking(setup, era, **FORMS) as speaker:
        for _ in range(3):
            wait_for(speaker, job_of(speaker))
        for number in range(3):
            form(speaker, number)
        speaker.client.close_stdin()
        assert speaker.client.wait() == 0


# ------------------------------------------------------------------------ 2026-07-28


def input_required(speaker: Speaker, tool: str, **params: Any) -> dict[str, Any]:
    result = speaker.request("tools/call", name=tool, **params)
    assert result["resultType"] == "input_required", result
    return result


def test_a_wait_ends_with_what_it_needs_and_goes_on_with_the_answer(setup: Setup) -> None:
    with speaking(setup, MODERN, **FORMS) as speaker:
        jobs = [job_of(speaker), job_of(speaker)]
        for job_id in jobs:
            while "questions" not in view_of(speaker, job_id):
                pass
        arguments = {"job_ids": jobs, "timeout_seconds": 120}
        needed = input_required(speaker, "queue_wait_job", arguments=arguments)
        assert needed["inputRequests"] == {f"{job_id}/{KEY}": REQUEST for job_id in jobs}
        given = {f"{jobs[0]}/{KEY}": YES, "unknown": YES, f"{jobs[1]}/a7.q1.x": YES}
        again = input_required(speaker, "queue_wait_job", arguments=arguments, inputResponses=given)
        assert [*again["inputRequests"]] == [f"{jobs[1]}/{KEY}"]  # what is missing still
        speaker.call("queue_answer_job", job_id=jobs[1], action="decline")
        late = {f"{job_id}/{KEY}": YES for job_id in jobs}
        result = speaker.request(
            "tools/call", name="queue_wait_job", arguments=arguments, inputResponses=late
        )
        views = result["structuredContent"]["jobs"]
        assert [view["result"][1] for view in views] == ["accept", "decline"]


def test_a_wait_leaves_the_questions_of_a_task_to_the_task(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task_id = job_of(speaker)
        becomes(speaker, task_id, "input_required")
        wait = wait_for(speaker, task_id)
        speaker.request("tasks/update", taskId=task_id, inputResponses={KEY: YES})
        assert waited(speaker, wait)["jobs"][0]["result"][0] is True


def test_an_answer_that_does_not_fit_is_asked_for_again(setup: Setup) -> None:
    with speaking(setup, MODERN, **FORMS) as speaker:
        job_id = job_of(speaker)
        arguments = {"job_ids": [job_id], "timeout_seconds": 120}
        input_required(speaker, "queue_wait_job", arguments=arguments)
        given = {f"{job_id}/{KEY}": {"action": "accept", "content": {"confirm": "x"}}}
        again = input_required(speaker, "queue_wait_job", arguments=arguments, inputResponses=given)
        [request] = again["inputRequests"].values()
        assert "'confirm' should be true or false" in request["params"]["message"]


def test_a_task_needs_input_and_takes_it_in_parts(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task_id = job_of(speaker, "asks_many")
        task = becomes(speaker, task_id, "input_required")
        assert [*task["inputRequests"]] == ["a1.q1.name", "a1.q1.colour"]
        assert task["inputRequests"]["a1.q1.name"]["params"]["message"] == "Your name?"
        assert "Your name?" in task["statusMessage"]

        name = {"action": "accept", "content": {"name": "Ada", "confirm": True}}
        for _ in range(2):  # the second time it is not outstanding any more
            given = {"a1.q1.name": name, "a9.q9.x": {"action": "accept"}, "junk": "junk"}
            acknowledged(speaker, task_id, given)
        task = speaker.request("tasks/get", taskId=task_id)
        assert (task["status"], [*task["inputRequests"]]) == ("input_required", ["a1.q1.colour"])

        given = {"a1.q1.colour": {"action": "accept", "content": {"colour": "red"}}}
        speaker.request("tasks/update", taskId=task_id, inputResponses=given)
        task = becomes(speaker, task_id, "input_required")
        while [*task["inputRequests"]] != ["a1.q2.answer"]:
            task = becomes(speaker, task_id, "input_required")
        given = {"a1.q2.answer": {"action": "cancel"}}
        speaker.request("tasks/update", taskId=task_id, inputResponses=given)
        task = becomes(speaker, task_id, "completed")
        assert task["result"]["structuredContent"]["result"] == {
            "name": ["accept", {"name": "Ada", "age": None}],
            "colour": ["accept", {"colour": "red"}],
            "again": "cancel",
        }


def test_a_malformed_answer_to_a_task_is_named_and_changes_nothing(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task_id = job_of(speaker)
        task = becomes(speaker, task_id, "input_required")
        for response, words in (
            ("yes", "no answer"),
            ({}, "no answer"),
            ({"action": "perhaps"}, "no answer"),
            ({"action": "accept", "content": [1]}, "no answer"),
            ({"action": "accept"}, "'confirm' is missing"),
            ({"action": "accept", "content": {"confirm": "x"}}, "should be true or false"),
        ):
            error = speaker.refused("tasks/update", taskId=task_id, inputResponses={KEY: response})
            assert error["code"] == -32602
            assert words in error["message"]
            assert KEY in error["message"]
        for responses in ("x", 7, [], None):
            error = speaker.refused("tasks/update", taskId=task_id, inputResponses=responses)
            assert error["code"] == -32602
        after = speaker.request("tasks/get", taskId=task_id)
        assert after["inputRequests"] == task["inputRequests"]


@pytest.mark.parametrize("declared", [{}, {"elicitation": {"url": {}}}])
def test_a_task_of_a_client_without_forms_works_on_and_says_what_it_asks(
    setup: Setup, declared: dict[str, Any]
) -> None:
    with speaking(setup, MODERN, tasks=True, **declared) as speaker:
        task_id = job_of(speaker)
        while (
            "asks: Go on?"
            not in (task := speaker.request("tasks/get", taskId=task_id))["statusMessage"]
        ):
            pass
        assert task["status"] == "working"
        speaker.call("queue_answer_job", job_id=task_id, content={"confirm": True})
        assert becomes(speaker, task_id, "completed")["result"]


def test_a_task_that_needs_input_tells_who_listens(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task_id = job_of(speaker)
        params = speaker.params(notifications={"taskIds": [task_id]})
        speaker.client.post("subscriptions/listen", params)
        told = speaker.told("notifications/tasks", status="input_required")
        assert told["inputRequests"] == {KEY: REQUEST}
        speaker.request("tasks/update", taskId=task_id, inputResponses={KEY: YES})
        told = speaker.told("notifications/tasks", status="completed")
        assert told["result"]["structuredContent"]["result"][0] is True


def test_a_cancelled_task_needs_no_input(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task_id = job_of(speaker)
        becomes(speaker, task_id, "input_required")
        speaker.request("tasks/cancel", taskId=task_id)
        assert "inputRequests" not in becomes(speaker, task_id, "cancelled")
        acknowledged(speaker, task_id, {KEY: YES})


def test_a_server_that_is_killed_leaves_the_question_to_the_next(tmp_path: Path) -> None:
    settings = {"in_memory": False, "registry_path": str(tmp_path / "registry.db")}
    setup = Setup(tmp_path, settings, [COMMANDS])
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task_id = job_of(speaker)
        becomes(speaker, task_id, "input_required")
        speaker.client.kill()
        speaker.client.wait()
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        task = speaker.request("tasks/get", taskId=task_id)
        assert (task["status"], task["inputRequests"]) == ("input_required", {KEY: REQUEST})
        speaker.request("tasks/update", taskId=task_id, inputResponses={KEY: YES})
        task = becomes(speaker, task_id, "completed")
        assert task["result"]["structuredContent"]["result"][0] is True


def test_what_is_asked_before_a_task_comes_before_it(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True, **FORMS) as speaker:
        needed = input_required(speaker, "greets_later", arguments={})
        assert "taskId" not in needed
        [request] = needed["inputRequests"].values()
        assert [*request["params"]["requestedSchema"]["properties"]] == ["user_name"]
        for given in ({}, {"unknown": YES}):
            again = input_required(speaker, "greets_later", arguments={}, inputResponses=given)
            assert again["inputRequests"] == needed["inputRequests"]
        [key] = needed["inputRequests"]
        given = {key: {"action": "accept", "content": {"user_name": "Ada", "more": 1}}}
        task = speaker.request(
            "tools/call", name="greets_later", arguments={}, inputResponses=given
        )
        assert task["resultType"] == "task"
        assert not {"requestState", "inputRequests"} & {*task}
        task = becomes(speaker, task["taskId"], "completed")
        assert "Dear Ada" in task["result"]["content"][0]["text"]


def test_a_plain_command_asks_in_rounds_and_its_state_cannot_be_forged(setup: Setup) -> None:
    with speaking(setup, MODERN, **FORMS) as speaker:
        first = input_required(speaker, "plain", arguments={})
        assert [*first["inputRequests"]] == ["answer"]
        second = input_required(
            speaker,
            "plain",
            arguments={},
            inputResponses={"answer": YES},
            requestState=first["requestState"],
        )
        assert [*second["inputRequests"]] == ["q2.answer"]
        state = second["requestState"]
        number = {"q2.answer": {"action": "accept", "content": {"n": 7}}}
        result = speaker.request(
            "tools/call", name="plain", arguments={}, inputResponses=number, requestState=state
        )
        assert result["structuredContent"] == {"result": [True, {"n": 7}]}
        body, _, signature = state.partition(".")
        for forged in ("", "x", "a.b", f"{body}.{body}", f"{body}x.{signature}", "ä.ö", "a.b.c"):
            error = speaker.refused("tools/call", name="plain", arguments={}, requestState=forged)
            assert error["code"] == -32602
        error = speaker.refused("tools/call", name="plain_async", arguments={}, requestState=state)
        assert error["code"] == -32602


def acknowledged(speaker: Speaker, task_id: str, responses: dict[str, Any]) -> None:
    """Send answers to a task; they must be acknowledged, and nothing more."""
    result = speaker.request("tasks/update", taskId=task_id, inputResponses=responses)
    assert result.pop("resultType") == "complete"
    assert {*result} <= {"_meta"}


def becomes(speaker: Speaker, task_id: str, status: str) -> dict[str, Any]:
    """The task once it has this status."""
    while True:
        task = speaker.request("tasks/get", taskId=task_id)
        if task["status"] == status:
            return task
        assert task["status"] in ("working", "input_required"), task
