"""Images, audio, files and links as results: content blocks, and a complete envelope alone."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from support.serving import Setup
from support.speaking import ERAS, MODERN, speaking
from support.surface_commands import PNG, WAV

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).parents[1] / "support" / "surface_commands.py")


@pytest.fixture
def server(setup: Setup) -> Setup:
    setup.commands = [COMMANDS]
    return setup


def blocks(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The content blocks beside the text of the envelope, without the links to the job."""
    last = "queue://jobs/"
    return [
        block
        for block in result["content"][1:]
        if not (block.get("uri", "").startswith(last) and "artifacts" not in block["uri"])
    ]


def told(result: dict[str, Any]) -> dict[str, Any]:
    """The envelope, the same in both forms."""
    view = json.loads(result["content"][0]["text"])
    assert result.get("structuredContent", view) == view
    return view


@pytest.mark.parametrize("version", ERAS)
@pytest.mark.parametrize("tool", ["shows", "makes"])
def test_a_list_of_all_kinds(server: Setup, version: str, tool: str) -> None:
    with speaking(server, version) as speaker:
        result = speaker.call(tool, what="list")
    view = told(result)
    words, image, numbers, audio, table, link, other = view["result"]
    assert (words, numbers) == ("in words", {"numbers": [1, 2]})
    assert image.pop("uri", "").endswith("artifacts/plot.png" if tool == "makes" else "")
    assert image == {
        "type": "image",
        "name": "plot.png",
        "title": "The plot",
        "mime_type": "image/png",
        "size": len(PNG),
    }
    assert (audio["name"], audio["mime_type"], audio["size"]) == ("audio.wav", "audio/wav", 16)
    assert (table["type"], table["mime_type"], table["size"]) == ("file", "text/csv", 8)
    assert (link["type"], link["uri"]) == ("link", "https://example.org/")
    assert (other["name"], other["mime_type"]) == ("plot-2.png", "image/png")
    assert "artifacts" not in view

    shown = blocks(result)
    assert [block["type"] for block in shown] == [
        "image",
        "audio" if version >= "2025-03-26" else "resource",
        "resource",
        "resource_link" if version >= "2025-06-18" else "text",
        "resource",
    ]
    assert b64decode(shown[0]["data"]) == PNG
    assert b64decode(shown[1].get("data") or shown[1]["resource"]["blob"]) == WAV
    assert shown[2]["resource"]["text"] == "a,b\n1,2\n"
    assert "https://example.org/" in json.dumps(shown[3])
    assert b64decode(shown[4]["resource"]["blob"]) == b"\x00\xff"


@pytest.mark.parametrize("tool", ["shows", "makes"])
def test_contents_within_models_and_envelopes(server: Setup, tool: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("by path")
    with speaking(server, MODERN) as speaker:
        nested = speaker.call(tool, what="nested")
        found = told(nested)["result"]
        assert found["plot"]["picture"] == found["again"]
        assert found["report"]["attachment"]["name"] == "report.txt"
        assert [block["type"] for block in blocks(nested)] == ["image", "resource"]
        enveloped = speaker.call(tool, what="enveloped")
        assert [block["type"] for block in blocks(enveloped)] == ["image"]
        by_path = speaker.call(tool, what="by path", path=str(tmp_path / "notes.txt"))
        assert blocks(by_path)[0]["resource"]["text"] == "by path"
        assert told(by_path)["result"]["name"] == "notes.txt"
        alone = speaker.call(tool, what="image")
        assert told(alone)["result"]["name"] == "image.png"


@pytest.mark.parametrize("tool", ["shows", "makes"])
def test_what_cannot_be_shown_is_an_error(server: Setup, tool: str) -> None:
    with speaking(server, MODERN) as speaker:
        for what, words in (
            ("missing", "/nowhere/at all"),
            ("hostile", "a name is no path"),
            ("no image", "begins with 'image/'"),
            ("neither", "object"),
        ):
            result = speaker.call(tool, what=what)
            assert result["isError"] is True
            assert words in told(result)["error"]["message"], told(result)


def test_a_job_shows_them_wherever_its_result_is_given(server: Setup) -> None:
    with speaking(server, MODERN, tasks=True) as speaker:
        task = speaker.call("makes", what="image")["taskId"]
        wait = speaker.call("queue_wait_job", job_ids=task)
        assert [block["type"] for block in blocks(wait)] == ["image"]
        view = speaker.call("queue_get_job_status", job_id=task)
        assert blocks(view) == []
        finished = speaker.request("tasks/get", taskId=task)["result"]
        assert [block["type"] for block in blocks(finished)] == ["image"]
        uri = told(view)["result"]["uri"]
        [content] = speaker.request("resources/read", uri=uri)["contents"]
        assert (content["mimeType"], b64decode(content["blob"])) == ("image/png", PNG)


def test_large_contents_of_a_job_are_linked(server: Setup) -> None:
    with speaking(server, MODERN) as speaker:
        result = speaker.call("makes", what="large")
        link, image = blocks(result)
        assert (link["type"], link["size"], image["type"]) == ("resource_link", 5 << 20, "image")
        refused = speaker.refused("resources/read", uri=link["uri"])
        assert (refused["code"], "?offset=0" in refused["message"]) == (-32602, True)
        size, offset = 0, 0
        while offset is not None:
            uri = f"{link['uri']}?offset={offset}"
            [part] = speaker.request("resources/read", uri=uri)["contents"]
            size += len(b64decode(part["blob"]))
            assert part["_meta"]["mcp-queue/size"] == 5 << 20
            offset = part["_meta"].get("mcp-queue/next_offset")
        assert size == 5 << 20


def test_none_of_the_bytes_are_in_the_registry(persistent: Setup) -> None:
    persistent.commands = [COMMANDS]
    with speaking(persistent, MODERN) as speaker:
        assert blocks(speaker.call("makes", what="image"))
        registry = Path(persistent.settings["registry_path"])
        files = [path for path in registry.parent.glob("registry.db*") if path.is_file()]
        assert not [path for path in files if PNG in path.read_bytes()]
