"""What hosts send that the protocol or a schema does not have, and what is made of it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet, refused
from support.serving import HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEXT = """
from typing import Annotated, Literal
from pydantic import BaseModel, StrictInt
from mcp_queue import command

class Step(BaseModel):
    name: str
    values: list[int] = []

def told(**given): return repr(given)

@command
def plain(names: list[str], options: dict[str, int] | None = None, limit: int = 3) -> str:
    return told(names=names, options=options, limit=limit)

@command(use_queue=True)
def queued(names: list[str], steps: list[Step] = [], count: StrictInt = 1) -> str:
    return told(names=names, steps=steps, count=count)

@command
def texts(text: str, either: list[str] | str = "", word: Literal["[]", "{}"] = "{}") -> str:
    return told(text=text, either=either, word=word)

@command(ask_for=("who",))
def asks(who: str, loud: bool = False) -> str:
    return told(who=who, loud=loud)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The command line of a server with these commands."""
    file = tmp_path / "habits.py"
    file.write_text(TEXT, "utf-8")
    return [sys.executable, "-m", "mcp_queue", "serve", "--commands", str(file)]


@pytest.fixture
def client(command: list[str]) -> Iterator[RawClient]:
    with RawClient(command) as client:
        greet(client)
        yield client


def finished(client: RawClient, tool: str, **arguments: Any) -> Any:
    job_id = call(client, tool, **arguments)["job_id"]
    [view] = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=GUARD)["jobs"]
    return view["result"]


def test_row_48_values_as_json_texts(client: RawClient) -> None:
    expected = "{'names': ['a', 'b'], 'options': {'k': 1}, 'limit': 5}"
    for given in (
        {"names": ["a", "b"], "options": {"k": 1}, "limit": 5},
        {"names": '["a", "b"]', "options": '{"k": 1}', "limit": "5"},
        {"names": ' ["a","b"]\n', "options": {"k": "1"}, "limit": "5"},
    ):
        assert call(client, "plain", **given) == {"result": expected}
    expected = "{'names': ['a'], 'steps': [Step(name='[]', values=[1])], 'count': 2}"
    for given in (
        {"names": ["a"], "steps": [{"name": "[]", "values": [1]}], "count": 2},
        {"names": '["a"]', "steps": '[{"name": "[]", "values": [1]}]', "count": "2"},
        {"names": ["a"], "steps": ['{"name": "[]", "values": "[1]"}'], "count": "2"},
    ):
        assert finished(client, "queued", **given) == expected


def test_row_48_null_for_what_is_left_out(client: RawClient) -> None:
    answer = call(client, "plain", names=["a"], options=None, limit=None)
    assert answer == {"result": "{'names': ['a'], 'options': None, 'limit': 3}"}
    steps = [{"name": "x", "values": None}]
    expected = "{'names': ['a'], 'steps': [Step(name='x', values=[])], 'count': 1}"
    assert finished(client, "queued", names=["a"], steps=steps, count=None) == expected


def test_row_48_the_queues_own_tools(client: RawClient) -> None:
    params = '{"names": "[\\"a\\"]"}'
    view = call(client, "queue_add_job", command="queued", params=params, job_id=None)
    job_id = view["job_id"]
    call(client, "queue_start_job", job_id=job_id)
    [view] = call(
        client, "queue_wait_job", job_ids=f'["{job_id}"]', timeout_seconds=str(GUARD), mode=None
    )["jobs"]
    assert "'names': ['a']" in view["result"]
    nothing: dict[str, Any] = {"stream": None, "tail": None, "since": None, "contains": None}
    assert call(client, "queue_get_job_logs", job_id=job_id, **nothing)["stdout"] == []
    listed = call(client, "queue_list_jobs", status=None, limit=None, cursor=None)
    assert [each["job_id"] for each in listed["jobs"]] == [job_id]
    for ids in ('["x", "y"]', ["x", "y"], "x"):
        assert refused(client, "queue_wait_job", job_ids=ids)["code"] == "job_not_found"


def test_row_48_an_unknown_job_among_others(client: RawClient) -> None:
    job_id = call(client, "queued", names=[])["job_id"]
    answer = call(client, "queue_wait_job", job_ids=["gone", job_id, "gone"], timeout_seconds=GUARD)
    assert [view["status"] for view in answer["jobs"]] == ["completed"]
    assert answer["not_found"] == ["gone"]
    assert "gone" in answer["next"]


def test_row_48_a_text_stays_a_text(client: RawClient) -> None:
    answer = call(client, "texts", text='["a"]', either='["a"]', word="[]")
    assert answer == {"result": "{'text': '[\"a\"]', 'either': '[\"a\"]', 'word': '[]'}"}


def test_row_48_what_leaves_doubt_is_refused_as_it_came(client: RawClient) -> None:
    for given in ({"names": "a"}, {"names": "['a']"}, {"names": '["a"'}, {"names": None}):
        result = client.request("tools/call", {"name": "plain", "arguments": given})["result"]
        error = json.loads(result["content"][0]["text"])["error"]
        assert (result["isError"], error["code"]) == (True, "invalid_params")
        assert json.dumps(given["names"]) in error["message"]


def test_row_48_the_log_says_it_once(command: list[str]) -> None:
    with RawClient(command) as client:
        greet(client)
        for _ in range(3):
            call(client, "plain", names="[]", limit=None)
            call(client, "plain", names=[])
    lines = [line for line in client.stderr.splitlines() if "taken for what it means" in line]
    assert len(lines) == 2
    assert any("'names' of 'plain'" in line for line in lines)
    assert any("'limit' of 'plain'" in line for line in lines)


def test_row_48_null_for_what_the_person_is_asked_for(command: list[str]) -> None:
    with RawClient(command) as client:
        client.request("initialize", {**HANDSHAKE, "capabilities": {"elicitation": {}}})
        client.notify("notifications/initialized")
        given = {"name": "asks", "arguments": {"who": None, "loud": "true"}}
        request_id = client.post("tools/call", given)
        asked = client.wait_for(lambda each: each.method == "elicitation/create").message
        assert list(asked["params"]["requestedSchema"]["properties"]) == ["who"]
        answer = {"action": "accept", "content": {"who": "me"}}
        client.send({"jsonrpc": "2.0", "id": asked["id"], "result": answer})
        result = client.answer(request_id).message["result"]
        assert result["structuredContent"] == {"result": "{'who': 'me', 'loud': True}"}


MARK = b"\xef\xbb\xbf"
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE}


@pytest.mark.parametrize("parts", [1, 2, 5], ids=["at once", "in two", "byte by byte"])
def test_row_48_a_byte_order_mark(command: list[str], parts: int) -> None:
    data = MARK + json.dumps(HELLO).encode() + b"\n"
    with RawClient(command) as client:
        cuts = {1: [len(data)], 2: [2, len(data)], 5: [*range(1, 6), len(data)]}[parts]
        for start, end in zip([0, *cuts], cuts, strict=False):
            client.send_bytes(data[start:end])
        assert client.answer(1).message["result"]["protocolVersion"] == HANDSHAKE["protocolVersion"]


def long_number(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode().replace(b'"HERE"', b"9" * 5_000)


def deep_lists(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode().replace(b'"HERE"', b"[" * 100_000 + b"]" * 100_000)


def deep_objects(message: dict[str, Any]) -> bytes:
    deep = b'{"id":' * 3_000 + b"1" + b"}" * 3_000
    return json.dumps(message).encode().replace(b'"HERE"', deep)


@pytest.mark.parametrize("made", [long_number, deep_lists, deep_objects])
@pytest.mark.parametrize("request_id", [7, "seven"])
def test_row_48_what_no_parser_takes(
    client: RawClient, made: Callable[[dict[str, Any]], bytes], request_id: int | str
) -> None:
    arguments = {"names": [], "options": {"k": "HERE"}}
    message: dict[str, Any] = {
        "jsonrpc": "2.0",
        "method": "tools/call",
        "params": {"name": "plain", "arguments": arguments},
        "id": request_id,
    }
    client.send_bytes(made(message) + b"\n")
    error = client.answer(request_id).message["error"]
    assert error["code"] == -32600
    assert "digits" in error["message"] or "deep" in error["message"]
    assert call(client, "plain", names=[])["result"].startswith("{'names': []")


def test_row_48_what_no_parser_takes_within_a_batch(command: list[str]) -> None:
    with RawClient(command) as client:
        client.takes_batches = True
        client.request("initialize", {**HANDSHAKE, "protocolVersion": "2025-03-26"})
        client.notify("notifications/initialized")
        ping = {"jsonrpc": "2.0", "method": "ping"}
        bad = {**ping, "params": {"a": "HERE"}, "id": "bad"}
        client.send_bytes(deep_lists([{**ping, "id": "one"}, bad, {**ping, "id": "two"}]) + b"\n")  # pyright: ignore[reportArgumentType]
        assert "result" in client.answer("one").message
        assert "result" in client.answer("two").message
        assert "deep" in client.answer("bad").message["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ('{"names": ["a"]}', "{'names': ['a'], 'options': None, 'limit': 3}"),
        ('{"names": "[\\"a\\"]", "limit": "4"}', "{'names': ['a'], 'options': None, 'limit': 4}"),
    ],
)
def test_row_48_all_arguments_as_a_json_text(
    client: RawClient, arguments: str, result: str
) -> None:
    answer = client.request("tools/call", {"name": "plain", "arguments": arguments})
    assert answer["result"]["structuredContent"] == {"result": result}


@pytest.mark.parametrize("arguments", ["[1]", "no JSON", "7"])
def test_row_48_a_text_that_is_no_object(client: RawClient, arguments: str) -> None:
    answer = client.request("tools/call", {"name": "plain", "arguments": arguments})
    assert answer["result"]["isError"]
    assert "an object is needed" in answer["result"]["content"][0]["text"]


def test_row_48_what_is_meant_is_not_blamed_for_what_is_wrong(client: RawClient) -> None:
    error = refused(client, "queued", names='["a"]', count="no number")
    assert "count" in error["message"]
    assert "names" not in error["message"]
