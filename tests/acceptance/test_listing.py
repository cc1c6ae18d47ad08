"""What a client finds: pages, titles, annotations, the icon, and how long it may keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.serving import Setup
from support.speaking import ERAS, MODERN, Speaker, speaking

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).parents[1] / "support" / "surface_commands.py")
STAMP = "io.modelcontextprotocol/serverInfo"
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


def all_of(speaker: Speaker, method: str) -> list[dict[str, Any]]:
    """The items of all pages."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = speaker.request(method, **cursor)
        items += page[LISTS[method]]
        if "nextCursor" not in page:
            return items
        cursor = {"cursor": page["nextCursor"]}


@pytest.mark.parametrize("version", ERAS)
def test_cursors_that_are_none_of_ours(setup: Setup, version: str) -> None:
    with speaking(setup, version) as speaker:
        for method in LISTS:
            for cursor in ("", "x", "from-0", "from--1", "from-1000", "before-", "1"):
                error = speaker.refused(method, cursor=cursor)
                assert (error["code"], "cursor" in error["message"]) == (-32602, True), error


def test_many_tools_come_in_pages(setup: Setup) -> None:
    module = setup.folder / "many.py"
    lines = ["from mcp_queue import command", "for n in range(250):"]
    lines += ["    command(name=f'tool_{n:03}')(lambda: None)"]
    module.write_text("\n".join(lines))
    setup.commands = [str(module)]
    with speaking(setup, MODERN) as speaker:
        first = speaker.request("tools/list")
        assert (len(first["tools"]), first["ttlMs"], first["cacheScope"]) == (
            100,
            3_600_000,
            "private",
        )
        names = [tool["name"] for tool in all_of(speaker, "tools/list")]
        assert len(names) == len(set(names)) >= 250 + 9


def test_jobs_come_in_pages_behind_the_fixed_resources(setup: Setup) -> None:
    setup.commands = [COMMANDS]
    with speaking(setup, MODERN) as speaker:
        for n in range(120):
            arguments = {"command": "breaks", "job_id": f"job-{n:03}"}
            speaker.call("queue_add_job", **arguments)
        found = all_of(speaker, "resources/list")
    jobs = [f"queue://jobs/job-{n:03}" for n in range(119, -1, -1)]
    fixed = ["queue://jobs", "queue://health", "queue://commands"]
    assert [resource["uri"] for resource in found] == [*fixed, *jobs]
    for resource in found[3:]:
        assert resource["annotations"]["lastModified"].endswith("Z")
        assert resource["annotations"]["audience"] == ["user", "assistant"]


MAKE_COMMANDS_WORK = ("queue_add_job", "queue_start_job", "queue_answer_job")


def test_everything_has_a_title_and_says_what_it_does(setup: Setup) -> None:
    with speaking(setup, MODERN) as speaker:
        for method in LISTS:
            for item in all_of(speaker, method):
                assert item["title"], item
                assert item["description"], item
        for tool in all_of(speaker, "tools/list"):
            if tool["name"].startswith("queue_"):
                hints = tool["annotations"]
                assert hints["openWorldHint"] is (tool["name"] in MAKE_COMMANDS_WORK)
                assert "readOnlyHint" in hints or "destructiveHint" in hints


def test_how_long_a_client_may_keep_it(setup: Setup) -> None:
    setup.commands = [COMMANDS]
    hour, stale = (3_600_000, "private"), (0, "private")
    with speaking(setup, MODERN) as speaker:
        view = json.loads(speaker.call("makes", what="image")["content"][0]["text"])
        job = f"queue://jobs/{view['job_id']}"
        for method, params, kept in (
            ("server/discover", {}, hour),
            ("tools/list", {}, hour),
            ("resources/list", {}, stale),
            ("resources/templates/list", {}, (3_600_000, "public")),
            ("prompts/list", {}, (3_600_000, "public")),
            ("resources/read", {"uri": "queue://commands"}, hour),
            ("resources/read", {"uri": "queue://jobs"}, stale),
            ("resources/read", {"uri": "queue://health"}, stale),
            ("resources/read", {"uri": job}, stale),
            ("resources/read", {"uri": f"{job}/result"}, stale),
            ("resources/read", {"uri": f"{job}/logs"}, stale),
            ("resources/read", {"uri": view["result"]["uri"]}, stale),
        ):
            result = speaker.request(method, **params)
            assert (result["ttlMs"], result["cacheScope"]) == kept, (method, params)


def test_the_icon_comes_once_not_with_each_answer(setup: Setup) -> None:
    with speaking(setup, MODERN) as speaker:
        shown = speaker.request("server/discover")["_meta"][STAMP]
        assert shown["name"] == "mcp-queue"
        assert shown["icons"][0]["src"].startswith("data:image/svg+xml;base64,")
        assert speaker.request("tools/list")["_meta"][STAMP].keys() == {"name", "version"}
    with speaking(setup, "2025-11-25") as speaker:
        [initialized] = [
            received.message["result"]
            for received in speaker.client.received
            if received.is_answer and "serverInfo" in received.message["result"]
        ]
        assert initialized["serverInfo"]["icons"] == shown["icons"]
