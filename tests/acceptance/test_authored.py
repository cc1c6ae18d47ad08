"""What authors write beside commands: prompts, resources, conditions between parameters."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from mcp_types import ElicitResult

from support.conversation import SUBSCRIPTION
from support.serving import Setup
from support.speaking import ERAS, HANDSHAKES, MODERN, Speaker, speaking

pytestmark = pytest.mark.needs("schemas")

PNG = b"\x89PNG\r\n\x1a\n" + b"no real picture"  # as in the commands
COMMANDS = Path(__file__).parents[1] / "support" / "authored_commands.py"


@pytest.fixture
def server(setup: Setup) -> Setup:
    setup.commands = [str(COMMANDS)]
    return setup


def content(speaker: Speaker, uri: str) -> dict[str, Any]:
    [found] = speaker.request("resources/read", uri=uri)["contents"]
    return found


def completed(speaker: Speaker, ref: dict[str, str], name: str, value: str) -> list[str]:
    argument = {"name": name, "value": value}
    answer = speaker.request("completion/complete", ref=ref, argument=argument)
    return answer["completion"]["values"]


@pytest.mark.parametrize("version", ERAS)
def test_prompts_are_listed_and_filled_in(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        prompts = {each["name"]: each for each in speaker.request("prompts/list")["prompts"]}
        plain = speaker.request("prompts/get", name="plain")
        given = {"path": "a.py", "rounds": "2"}
        review = speaker.request("prompts/get", name="review", arguments=given)
        whole = speaker.request("prompts/get", name="whole")
        ref = {"type": "ref/prompt", "name": "review"}
        assert completed(speaker, ref, "depth", "d") == ["deep"]
        assert completed(speaker, ref, "path", "") == []
        assert completed(speaker, ref, "nothing", "") == []
        not_offered = {"type": "ref/prompt", "name": "takes_no_such_type"}
        assert completed(speaker, not_offered, "it", "") == []
    assert [*prompts] == ["plain", "review", "whole", "asks", "breaks", "diagnose_job",
                          "summarize_jobs"]  # fmt: skip
    assert "the parameter 'paths' is an array" in speaker.client.stderr
    assert prompts["review"]["description"] == "Look at the code with care"
    assert [
        (each["name"], each.get("description"), each["required"])
        for each in prompts["review"]["arguments"]
    ] == [
        ("path", None, True),
        ("depth", "how closely", False),
        ("rounds", "integer", False),
    ]
    assert [each["content"]["text"] for each in plain["messages"]] == ["Say hello."]
    said, image, file, values, answer = review["messages"]
    assert said["content"]["text"] == "Review a.py, quick, 3 times."
    assert b64decode(image["content"]["data"]) == PNG
    assert file["content"]["resource"]["text"] == "x = 1\n"
    assert json.loads(values["content"]["text"]) == {"rounds": 2}
    assert (answer["role"], answer["content"]["text"]) == ("assistant", "I will.")
    assert (whole["description"], whole["messages"]) == ("mine", [])


@pytest.mark.parametrize("version", ERAS)
def test_wrong_prompts_say_what_is_wrong(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        for arguments, words in (
            ({}, "'path' is missing"),
            ({"path": "a", "rounds": "many"}, "'rounds' should be"),
            ({"path": "a", "depth": "shallow"}, "'depth' should be"),
            ({"path": "a", "dept": "deep"}, "did you mean 'depth'"),
        ):
            error = speaker.refused("prompts/get", name="review", arguments=arguments)
            assert error["code"] == -32602
            assert words in error["message"]
            assert "review takes path: string (required)" in error["message"]
        error = speaker.refused("prompts/get", name="breaks")
        assert (error["code"], error["message"]) == (
            -32603, "'breaks' failed: ValueError: broken within"
        )  # fmt: skip
        assert "asks" in speaker.refused("prompts/get", name="nothing")["message"]
        assert speaker.refused("prompts/get", name="takes_a_list")["code"] == -32602
        assert speaker.request("prompts/get", name="plain")["messages"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_prompts_and_resources_may_ask_the_person(server: Setup, mode: str) -> None:
    async def fill_in(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"language": "Latin"})

    async with server.client(mode, elicitation_callback=fill_in) as client:
        [message] = (await client.get_prompt("asks")).messages
        [content] = (await client.read_resource("asked://tongue")).contents
    assert message.content.text == "Answer in Latin."  # pyright: ignore[reportAttributeAccessIssue]
    assert content.text == "tongue: Latin"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("version", ERAS)
def test_resources_are_listed_and_read(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        listed = {each["uri"]: each for each in speaker.request("resources/list")["resources"]}
        templates = {
            each["uriTemplate"]: each
            for each in speaker.request("resources/templates/list")["resourceTemplates"]
        }
        notes = content(speaker, "notes://today")
        long = content(speaker, "notes://7/long")
        file = content(speaker, "folder://src/a%20b.py")
        kinds = {what: content(speaker, f"kinds://{what}") for what in ("bytes", "image", "json")}
        source = content(speaker, "kinds://file")
        whole = content(speaker, "kinds://whole")
        ref = {"type": "ref/resource", "uri": "notes://{day}/{kind}"}
        assert completed(speaker, ref, "kind", "") == ["long", "short"]
    assert listed["notes://today"]["description"] == "What there is to do."
    assert templates["notes://{day}/{kind}"]["mimeType"] == "text/markdown"
    assert {"folder://{+path}", "kinds://{what}"} <= templates.keys()
    assert notes == {"uri": "notes://today", "mimeType": "text/plain", "text": "water the plants"}
    assert (long["mimeType"], long["text"]) == ("text/markdown", "# long notes of day 7")
    assert file["text"] == "src/a b.py"
    assert [b64decode(kinds[what]["blob"]) for what in ("bytes", "image")] == [PNG, PNG]
    assert {kinds[what]["mimeType"] for what in ("bytes", "image")} == {"image/png"}
    assert json.loads(kinds["json"]["text"]) == {"settings": True, "request": True}
    assert source["text"] == COMMANDS.read_text()
    assert whole["text"] == "as it is"


@pytest.mark.parametrize("version", ERAS)
def test_addresses_that_lead_nowhere(server: Setup, version: str) -> None:
    nowhere = -32602 if version == MODERN else -32002
    with speaking(server, version) as speaker:
        for uri in (
            "notes://tomorrow",
            "notes://7/long/more",
            "notes://7/long?x",
            "folder://",
            "folder://missing.txt",
            "folder://../etc/passwd",
            "folder://a/%2e%2e/b",
            "folder:///etc/passwd",
            "folder://a%00b",
            "kinds://a%2Fb",
            "kinds://%2e%2e",
        ):
            assert speaker.refused("resources/read", uri=uri)["code"] == nowhere, uri
        error = speaker.refused("resources/read", uri="notes://first/long")
        assert error["code"] == -32602
        assert "'day' should be" in error["message"]
        for what, words in (
            ("nothing", "LookupError: there is no nothing"),
            ("link", "a Link is for results"),
            ("exits", "SystemExit: 3"),
        ):
            error = speaker.refused("resources/read", uri=f"kinds://{what}")
            assert error["code"] == -32603
            assert words in error["message"]
        assert content(speaker, "notes://today")["text"]


@pytest.mark.parametrize("version", HANDSHAKES)
def test_who_subscribed_hears_when_its_commands_have_run(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        for uri in ("notes://today", "folder://a", "notes://1/long"):
            speaker.request("resources/subscribe", uri=uri)
        speaker.call("changes_notes", to=1)
        speaker.told("notifications/resources/updated", uri="notes://today")
        assert not updates(speaker, "folder://a")
        speaker.call("builds")
        speaker.told("notifications/resources/updated", uri="folder://a")
        speaker.request("resources/unsubscribe", uri="folder://a")
        speaker.request("resources/unsubscribe", uri="notes://1/long")
        before = len(updates(speaker, "notes://today"))
        speaker.call("builds", fail=True)
        speaker.client.wait_for(lambda _: len(updates(speaker, "notes://today")) > before)
        assert len(updates(speaker, "folder://a")) == 1
        assert not updates(speaker, "notes://1/long")


def updates(speaker: Speaker, uri: str) -> list[dict[str, Any]]:
    return [
        received.message
        for received in list(speaker.client.received)
        if received.method == "notifications/resources/updated"
        and received.message["params"]["uri"] == uri
    ]


def test_who_listens_hears_it_too(server: Setup) -> None:
    with speaking(server, MODERN) as speaker:
        wanted = ["notes://today", "nothing://at/all", "notes://1/long"]
        params = speaker.params(notifications={"resourceSubscriptions": wanted})
        stream = speaker.client.post("subscriptions/listen", params)
        honoured = speaker.told("notifications/subscriptions/acknowledged")["notifications"]
        assert honoured["resourceSubscriptions"] == ["notes://today", "notes://1/long"]
        speaker.call("builds")
        told = speaker.told("notifications/resources/updated", uri="notes://today")
        assert told["_meta"][SUBSCRIPTION] == stream


@pytest.mark.parametrize("version", ERAS)
def test_conditions_are_shown_and_hold(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        tools = {tool["name"]: tool for tool in speaker.request("tools/list")["tools"]}
        schema = tools["reaches"]["inputSchema"]
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert {"anyOf", "if", "then", "properties"} <= schema.keys()
        assert "$schema" not in tools["changes_notes"]["inputSchema"]
        assert not speaker.call("reaches", phone="1").get("isError")
        for arguments, words in (
            ({}, "'phone' is a required property, or 'email' is a required property"),
            ({"email": "a", "urgent": True}, "'phone' is a required property"),
        ):
            error = failed(speaker.call("reaches", **arguments))
            assert error["code"] == "invalid_params"
            assert words in error["message"]
            assert "reaches takes phone: string" in error["hint"]
        assert "'since' is a dependency" in failed(speaker.call("ranges", until=2))["message"]
        added = speaker.call("queue_add_job", command="ranges", params={"until": 2})
        assert failed(added)["code"] == "invalid_params"


def failed(result: dict[str, Any]) -> dict[str, Any]:
    assert result["isError"]
    return json.loads(result["content"][0]["text"])["error"]
