"""Row 39: whatever an author's code raises, it ends that call alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from support import author_code
from support.serving import Setup
from support.speaking import MODERN, Speaker, speaking
from support.web import WebServer, fetch, request, session

if TYPE_CHECKING:
    from collections.abc import Callable

    RecordProperty = Callable[[str, object], None]

pytestmark = pytest.mark.needs("schemas")

EXCEPTIONS = sorted(author_code.known())
BAD = (
    "PanicException",
    "Mute",
    "builtins.SystemExit",
    "builtins.KeyboardInterrupt",
    "builtins.GeneratorExit",
    "builtins.StopIteration",
    "builtins.StopAsyncIteration",
    "builtins.BaseExceptionGroup",
    "asyncio.exceptions.CancelledError",
    "concurrent.futures._base.CancelledError",
)
TOOLS = (
    "in_thread",
    "in_loop",
    "in_class",
    "in_validator",
    "in_validator_of_a_job",
    "in_to_dict",
    "in_error",
    "in_serializer",
    "in_attribute",
)
CODES = ("exception", "invalid_params", "result_not_serializable")
PROMPTS = ("prompts", "prompts_in_loop", "prompts_with_check", "prompts_result")
RESOURCES = ("thread", "loop", "check", "result")


@pytest.fixture
def authored(tmp_path: Path) -> Setup:
    """A server of commands that raise."""
    return Setup(tmp_path, {}, ["support.author_code"])


def short(name: str) -> str:
    return name.rpartition(".")[2]


def error_of(result: dict[str, Any]) -> dict[str, Any]:
    assert result["isError"] is True, result
    return json.loads(result["content"][0]["text"])["error"]


def goes_on(speaker: Speaker) -> None:
    assert speaker.call("fine", n=1)["structuredContent"] == {"result": 2}


def test_row_39_the_list_is_long() -> None:
    """It holds what is no `Exception` and what asyncio and futures take for their own."""
    assert len(EXCEPTIONS) > 100
    assert set(EXCEPTIONS) > {name for name in BAD if not name.startswith("concurrent")}


@pytest.mark.parametrize("tool", TOOLS)
def test_row_39_tools(authored: Setup, tool: str) -> None:
    with speaking(authored, MODERN) as speaker:
        for name in EXCEPTIONS:
            error = error_of(speaker.call(tool, name=name))
            assert error["code"] in CODES, (name, error)
            assert error["message"], name
            assert error["hint"], name
        goes_on(speaker)
    assert speaker.client.wait() == 0


@pytest.mark.parametrize("prompt", PROMPTS)
def test_row_39_prompts(authored: Setup, prompt: str) -> None:
    with speaking(authored, "2025-11-25") as speaker:
        for name in EXCEPTIONS:
            error = speaker.refused("prompts/get", name=prompt, arguments={"name": name})
            assert error["code"] in (-32603, -32602), (name, error)
            assert "Internal error" not in error["message"], name
        goes_on(speaker)
    assert speaker.client.wait() == 0


@pytest.mark.parametrize("resource", RESOURCES)
def test_row_39_resources(authored: Setup, resource: str) -> None:
    with speaking(authored, MODERN) as speaker:
        for name in EXCEPTIONS:
            uri = f"raises://{resource}/{quote(name)}"
            error = speaker.refused("resources/read", uri=uri)
            assert error["code"] in (-32603, -32602), (name, error)
            assert "Internal error" not in error["message"], name
        goes_on(speaker)
    assert speaker.client.wait() == 0


def test_row_39_a_constructor(authored: Setup) -> None:
    with speaking(authored, MODERN) as speaker:
        for name in EXCEPTIONS:
            speaker.call("constructor_raises", name=name)
            assert error_of(speaker.call("in_constructor"))["code"] == "exception", name
        goes_on(speaker)
    assert speaker.client.wait() == 0


def test_row_39_the_error_says_what_was_raised_and_the_log_where(authored: Setup) -> None:
    with speaking(authored, MODERN) as speaker:
        for name in BAD:
            for tool in ("in_thread", "in_class", "in_to_dict"):
                error = error_of(speaker.call(tool, name=name))
                assert short(name) in error["message"], error
                assert error["hint"] == (
                    f"{tool!r} raised it; the traceback is in the server's log (standard error)."
                )
    log = speaker.client.stderr
    assert log.count("Traceback (most recent call last)") >= 3 * len(BAD)
    assert log.count("author_code.py") >= 3 * len(BAD)
    assert "'in_thread' failed" in log


@pytest.mark.parametrize(
    "name",
    [
        "leaves_a_task_that_exits",
        "leaves_a_callback_that_exits",
        "leaves_a_task_that_is_interrupted",
        "stops_the_loop",
        "cancels_all_tasks",
        "cancels_itself_and_returns",
        "swallows_its_own_cancel",
        "closes_standard_streams",
        "loses_standard_error",
        "restores_standard_error",
    ],
)
def test_row_39_what_a_call_leaves_behind(authored: Setup, name: str) -> None:
    with speaking(authored, MODERN) as speaker:
        assert speaker.call(name)["structuredContent"] == {"result": "went on"}
        error = error_of(speaker.call("in_loop", name="PanicException"))
        assert error["message"] == "PanicException: why"
        goes_on(speaker)
    assert speaker.client.wait() == 0


def test_row_39_a_call_that_cancels_itself_is_answered(authored: Setup) -> None:
    with speaking(authored, MODERN) as speaker:
        error = error_of(speaker.call("cancels_itself"))
        assert error["message"] == "CancelledError: the call was cancelled from within"
        goes_on(speaker)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("end", ["raise SystemExit(3)", "pass"])
def test_row_39_a_module_that_forks_as_it_is_loaded(tmp_path: Path, end: str) -> None:
    """The child that comes back is no second server on the client's descriptors."""
    file = tmp_path / "forks.py"
    file.write_text(
        "import os\nfrom mcp_queue import command\n"
        f"if os.fork() == 0:\n    {end}\n"
        "@command\ndef fine() -> str: return 'fine'\n",
        "utf-8",
    )
    with speaking(Setup(tmp_path, {}, [str(file)]), MODERN) as speaker:
        for _ in range(5):
            assert speaker.call("fine")["structuredContent"] == {"result": "fine"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_row_39_a_fork_that_comes_back(authored: Setup) -> None:
    """It is no second server: one answer comes, and the child ends as a script's would."""
    with speaking(authored, MODERN) as speaker:
        for status in (0, 3):
            answer = speaker.call("forks_and_returns", status=status)
            assert answer["structuredContent"] == {"result": status}
        assert speaker.call("forks_in_the_loop")["structuredContent"] == {"result": 1}
        goes_on(speaker)
        ids = [each.message["id"] for each in speaker.client.received if each.is_answer]
        assert len(ids) == len(set(ids))
    assert "PanicException: in the child" in speaker.client.stderr


def test_row_39_cancelling_still_cancels(authored: Setup) -> None:
    with speaking(authored, "2025-11-25") as speaker:
        for tool in ("waits", "turns_a_cancel_into_a_panic"):
            waiting = speaker.client.post("tools/call", {"name": tool, "arguments": {}})
            goes_on(speaker)
            speaker.client.notify("notifications/cancelled", {"requestId": waiting})
            goes_on(speaker)
            answers = [each.message["id"] for each in speaker.client.received if each.is_answer]
            assert waiting not in answers


def test_row_39_a_question_within_a_task_group_still_reaches_the_person(authored: Setup) -> None:
    with speaking(authored, MODERN, elicitation={"form": {}}) as speaker:
        asked = speaker.call("asks_in_a_group")
        assert asked["resultType"] == "input_required"
        [key] = asked["inputRequests"]
        answered = speaker.request(
            "tools/call",
            name="asks_in_a_group",
            arguments={},
            inputResponses={key: {"action": "accept", "content": {"confirm": True}}},
            requestState=asked["requestState"],
        )
        assert answered["structuredContent"] == {"result": "accept"}


SCHEMAS = """
from typing import Annotated
from mcp_queue import command, prompt, resource
from support.author_code import made

class Type:
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        raise made(cls.wanted)
"""
SCHEMA = """
class Type{i}(Type): wanted = {name!r}
@command
def tool_{i}(x: Type{i}) -> str: return ""
@command(use_queue=True)
def job_{i}(x: Type{i}) -> str: return ""
@prompt
def prompt_{i}(x: Type{i}) -> str: return ""
@resource("bad://{i}/{{x}}")
def resource_{i}(x: Type{i}) -> str: return ""
"""


def test_row_39_a_type_that_cannot_be_described(authored: Setup) -> None:
    """Nothing of it is listed, using it says what is wrong, and all others are offered."""
    file = authored.folder / "types.py"
    text = SCHEMAS + "".join(SCHEMA.format(i=i, name=name) for i, name in enumerate(BAD))
    file.write_text(text, "utf-8")
    authored.commands.append(str(file))
    with speaking(authored, MODERN) as speaker:
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
            assert str(file) not in json.dumps(speaker.request(method))
        listed = speaker.request("tools/list")["tools"]
        assert {"in_loop", "fine"} < {tool["name"] for tool in listed}
        for i in range(len(BAD)):
            for tool in (f"tool_{i}", f"job_{i}"):
                assert tool not in {each["name"] for each in listed}
                error = error_of(speaker.call(tool, x="1"))
                assert error["code"] == "invalid_command", error
                assert "is not well defined" in error["message"]
            arguments = {"x": "1"}
            error = speaker.refused("prompts/get", name=f"prompt_{i}", arguments=arguments)
            assert "is not well defined" in error["message"]
            error = speaker.refused("resources/read", uri=f"bad://{i}/1")
            assert "is not well defined" in error["message"]
            ref = {"type": "ref/prompt", "name": f"prompt_{i}"}
            completed = speaker.request(
                "completion/complete", ref=ref, argument={"name": "x", "value": ""}
            )
            assert completed["completion"]["values"] == []
        problems = speaker.call("queue_health")["structuredContent"]["problems"]
        assert len(problems) == 4 * len(BAD)
        assert all(str(file) in problem for problem in problems)
        goes_on(speaker)


def test_row_39_a_module_that_raises_as_it_is_loaded(authored: Setup) -> None:
    files: list[Path] = []
    for i, name in enumerate(BAD):
        file = authored.folder / f"raises_{i}.py"
        file.write_text(f"from support.author_code import made\nraise made({name!r})\n", "utf-8")
        files.append(file)
    authored.commands[:0] = map(str, files)
    with speaking(authored, MODERN) as speaker:
        goes_on(speaker)
        problems = speaker.call("queue_health")["structuredContent"]["problems"]
        for file, name in zip(files, BAD, strict=True):
            [said] = [each for each in problems if str(file) in each]
            assert f"{file}, line 2" in said
            assert short(name) in said
            assert said in speaker.client.stderr


def test_row_39_over_http_other_clients_are_untouched(authored: Setup) -> None:
    running = WebServer(authored.command)
    try:
        running.__enter__()
        first, second = session(running, "2025-11-25"), session(running, "2025-06-18")
        for number, name in enumerate(BAD):
            for tool in ("in_thread", "in_loop", "in_to_dict", "in_validator"):
                called = request(number, "tools/call", name=tool, arguments={"name": name})
                answer = fetch(running, called, headers=first).message["result"]
                assert answer["isError"] is True
            called = request(number, "tools/call", name="fine", arguments={"n": number})
            answer = fetch(running, called, headers=second).message["result"]
            assert answer["structuredContent"] == {"result": number + 1}
        for tool in ("leaves_a_task_that_exits", "stops_the_loop"):
            called = request(99, "tools/call", name=tool, arguments={})
            answer = fetch(running, called, headers=first).message["result"]
            assert answer["structuredContent"] == {"result": "went on"}
    finally:
        status = running.end()
    assert status == 0, running.stderr


IN_A_WORKER = """
from mcp_queue import SuccessResult, command

class PanicException(BaseException): ...

class Result(SuccessResult):
    def to_dict(self):
        raise {name}("why")

@command(use_queue=True)
def gives() -> Result:
    return Result()
"""


@pytest.mark.parametrize("name", ["PanicException", "SystemExit", "GeneratorExit", "ValueError"])
def test_row_39_to_dict_that_raises_in_a_worker(tmp_path: Path, name: str) -> None:
    file = tmp_path / "results.py"
    file.write_text(IN_A_WORKER.replace("{name}", name), "utf-8")
    with speaking(Setup(tmp_path, {}, [str(file)]), MODERN) as speaker:
        job_id = speaker.call("gives")["structuredContent"]["job_id"]
        waited = speaker.call("queue_wait_job", job_ids=job_id)["structuredContent"]
        [job] = waited["jobs"]
        assert (job["status"], job["error"]["code"]) == ("failed", "exception"), job
        assert job["error"]["message"] == f"{name}: why"
        logs = speaker.call("queue_get_job_logs", job_id=job_id)["structuredContent"]
        assert any("in to_dict" in line for line in logs["stderr"])
