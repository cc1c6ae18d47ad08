"""Artifacts: files that a job keeps, from the moment it says so until the job is gone."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from support.serving import Setup
from support.speaking import ERAS, MODERN, Speaker, speaking

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).parents[1] / "support" / "surface_commands.py")
NAMES = ("notes.txt", "größe & mehr?.json", "100%", "with space", "..hidden..", "a" * 128)
HOSTILE = ("", ".", "..", "a/b", "../x", "a\\b", "nul\0", "line\n", " end ", "a" * 129, "\u202e")


@pytest.fixture
def server(setup: Setup) -> Setup:
    setup.commands = [COMMANDS]
    setup.settings["stop_grace_seconds"] = 0.5
    return setup


@pytest.fixture
def lasting(persistent: Setup) -> Setup:
    persistent.commands = [COMMANDS]
    persistent.settings |= {
        "stop_grace_seconds": 0.5,
        "retry_backoff_seconds": 0.01,
        "supervisor_linger_seconds": 0.1,
    }
    return persistent


def told(result: dict[str, Any]) -> dict[str, Any]:
    return json.loads(result["content"][0]["text"])


def finished(speaker: Speaker, tool: str, **arguments: Any) -> dict[str, Any]:
    """The view of a job that has ended."""
    job_id = told(speaker.call(tool, **arguments))["job_id"]
    return ended(speaker, job_id)


def ended(speaker: Speaker, job_id: str) -> dict[str, Any]:
    return told(speaker.call("queue_wait_job", job_ids=job_id, timeout_seconds=120))["jobs"][0]


def until_kept(speaker: Speaker, job_id: str) -> dict[str, Any]:
    """The view of a running job once it shows what it keeps."""
    while True:
        view = told(speaker.call("queue_get_job_status", job_id=job_id))
        if view.get("description") == "kept":
            return view


def read(speaker: Speaker, uri: str) -> dict[str, Any]:
    [content] = speaker.request("resources/read", uri=uri)["contents"]
    assert content["uri"] == uri
    return content


@pytest.mark.parametrize("version", ERAS)
def test_artifacts_are_listed_linked_and_read(server: Setup, version: str) -> None:
    texts = {name: f"text of {index}" for index, name in enumerate(NAMES)}
    with speaking(server, version) as speaker:
        job_id = told(speaker.call("keeps", artifacts=texts))["job_id"]
        wait = speaker.call("queue_wait_job", job_ids=job_id)
        [view] = told(wait)["jobs"]
        assert [item["name"] for item in view["artifacts"]] == list(NAMES)
        assert [item["uri"] for item in view["artifacts"]] == view["result"]
        for item in view["artifacts"]:
            assert item["size"] == len(texts[item["name"]])
            content = read(speaker, item["uri"])
            assert content["text"] == texts[item["name"]]
            assert content["mimeType"] == item["mime_type"]
        assert view["artifacts"][1]["mime_type"] == "application/json"
        assert view["artifacts"][2]["mime_type"] == "text/plain"
        links = [block for block in wait["content"] if block["type"] == "resource_link"]
        if version >= "2025-06-18":
            assert [link["uri"] for link in links] == view["result"]
            assert [link["size"] for link in links] == [len(text) for text in texts.values()]
        else:
            assert links == []
        listed = json.loads(read(speaker, f"queue://jobs/{view['job_id']}/artifacts")["text"])
        assert listed["artifacts"] == view["artifacts"]


def test_a_running_job_shows_them_and_others_are_not_found(server: Setup) -> None:
    gate = server.gate("gate")
    with speaking(server, MODERN) as speaker:
        handle = told(speaker.call("keeps", artifacts={"a": "1", "b": "2"}, gate=str(gate)))
        job_id = handle["job_id"]
        view = until_kept(speaker, job_id)
        assert [item["name"] for item in view["artifacts"]] == ["a", "b"]
        assert read(speaker, view["artifacts"][1]["uri"])["text"] == "2"
        for name in ("c", "..", "%2e%2e", "a%2Fb", "a/b", "a?offset=x", "a?x=1", "a%00", "%FF"):
            refused = speaker.refused(
                "resources/read", uri=f"queue://jobs/{job_id}/artifacts/{name}"
            )
            assert refused["code"] == -32602
        refused = speaker.refused("resources/read", uri="queue://jobs/unknown/artifacts/a")
        assert refused["data"] == {"uri": "queue://jobs/unknown/artifacts/a"}
        gate.touch()
        ended(speaker, job_id)
        speaker.call("queue_delete_job", job_id=job_id)
        refused = speaker.refused("resources/read", uri=view["artifacts"][0]["uri"])
        assert (refused["code"], "deleted (by client)" in refused["message"]) == (-32602, True)
        assert "artifacts" not in told(speaker.call("queue_get_job_status", job_id=job_id))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_fail_and_keep_nothing(lasting: Setup, name: str) -> None:
    with speaking(lasting, MODERN) as speaker:
        view = finished(speaker, "keeps", artifacts={name: "text"})
        assert (view["status"], view["error"]["code"]) == ("failed", "exception")
        assert "a name" in view["error"]["message"]
        assert "artifacts" not in view
    runs = Path(lasting.settings["registry_path"] + ".d") / "runs"
    assert not list(runs.rglob("artifacts/*"))


def test_large_ones_are_refused_whole_and_read_in_parts(server: Setup) -> None:
    size = 5 << 20
    with speaking(server, MODERN) as speaker:
        [item] = finished(speaker, "keeps_bytes", name="many", size=size)["artifacts"]
        assert (item["size"], item["title"]) == (size, "Many bytes")
        assert item["mime_type"] == "application/octet-stream"
        refused = speaker.refused("resources/read", uri=item["uri"])
        assert (refused["code"], str(size) in refused["message"]) == (-32602, True)
        part = read(speaker, item["uri"] + f"?offset={size - 3}")
        assert b64decode(part["blob"]) == bytes((253, 254, 255))
        assert part["_meta"] == {"mcp-queue/size": size}
        behind = read(speaker, item["uri"] + f"?offset={size + 1}")
        assert behind["blob"] == ""


def test_a_file_is_copied(server: Setup, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("a line\n")
    with speaking(server, MODERN) as speaker:
        [item] = finished(speaker, "keeps_file", name="log", path=str(source))["artifacts"]
        source.write_text("changed since")
        content = read(speaker, item["uri"])
        assert (content["text"], content["mimeType"]) == ("a line\n", "text/x-log")
        for path in (tmp_path, tmp_path / "missing"):
            view = finished(speaker, "keeps_file", name="log", path=str(path))
            assert str(path) in view["error"]["message"]


def test_another_under_the_same_name_replaces_it_at_once_and_whole(lasting: Setup) -> None:
    gate = lasting.gate("gate")
    with speaking(lasting, MODERN) as speaker:
        job_id = told(speaker.call("keeps_in_turn", under="n", gate=str(gate)))["job_id"]
        uri, seen = f"queue://jobs/{job_id}/artifacts/n", set[str]()
        while len(seen) < 2:
            answer = speaker.client.request("resources/read", speaker.params(uri=uri))
            if "error" in answer:
                assert answer["error"]["code"] == -32602
                continue
            [content] = answer["result"]["contents"]
            seen.add(content["mimeType"])
            if content["mimeType"] == "text/plain":
                assert content["text"] == "text " * 1000
            else:
                assert b64decode(content["blob"]) == b"\x00\xff" * 1000
        gate.touch()
        [item] = ended(speaker, job_id)["artifacts"]
        assert item["size"] in (5000, 2000)
        runs = Path(lasting.settings["registry_path"] + ".d") / "runs"
        assert len(list(runs.rglob("artifacts/*"))) == 1


def test_they_outlive_a_killed_server(lasting: Setup) -> None:
    gate = lasting.gate("gate")
    with speaking(lasting, MODERN) as speaker:
        job_id = told(speaker.call("keeps", artifacts={"a": "1"}, gate=str(gate)))["job_id"]
        uri = until_kept(speaker, job_id)["artifacts"][0]["uri"]
        speaker.client.kill()
        speaker.client.wait()
    with speaking(lasting, MODERN) as speaker:
        assert read(speaker, uri)["text"] == "1"
        gate.touch()
        assert ended(speaker, job_id)["status"] == "completed"
        assert read(speaker, uri)["text"] == "1"


def test_a_lost_attempt_takes_its_own_along(lasting: Setup) -> None:
    gate = lasting.gate("gate")
    with speaking(lasting, MODERN) as speaker:
        job_id = told(speaker.call("keeps_and_dies", gate=str(gate)))["job_id"]
        assert [item["name"] for item in until_kept(speaker, job_id)["artifacts"]] == ["first"]
        gate.touch()
        view = ended(speaker, job_id)
        assert (view["result"], [item["name"] for item in view["artifacts"]]) == (2, ["second"])


def test_a_plain_command_is_told_that_it_has_no_job(server: Setup) -> None:
    with speaking(server, MODERN) as speaker:
        error = told(speaker.call("keeps_nothing"))["error"]
        assert (error["code"], "queued" in error["message"]) == ("invalid_content", True)


def test_a_view_stays_short_when_a_job_keeps_many(server: Setup) -> None:
    with speaking(server, MODERN) as speaker:
        view = finished(speaker, "keeps", artifacts={f"{n:03}": "" for n in range(50)})
        assert [item["name"] for item in view["artifacts"]] == [f"{n:03}" for n in range(30, 50)]
        assert view["artifact_count"] == 50
        listed = json.loads(read(speaker, view["artifacts_uri"])["text"])
        assert len(listed["artifacts"]) == 50
