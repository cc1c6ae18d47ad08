"""What one message may cost: addresses, names, patterns, waits, subscriptions, jobs, bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.shared_settings import MOST_JOBS as BOUND
from support.serving import Setup, call, ended, read, refused, until
from support.speaking import MODERN, Speaker, speaking

COMMANDS = str(Path(__file__).parents[1] / "support" / "bounded_commands.py")
LEGACY = "2025-11-25"
TOO_LONG = "at most"

pytestmark = pytest.mark.needs("schemas")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, {"stop_grace_seconds": 0.5, "shutdown_timeout": 0.5}, [COMMANDS])


@pytest.fixture
def persistent(setup: Setup) -> Setup:
    setup.settings |= {
        "in_memory": False,
        "registry_path": str(setup.folder / "data" / "registry.db"),
        "supervisor_linger_seconds": 0,
    }
    return setup


def address(size: int) -> str:
    return "walls://" + "a/" * ((size - 8) // 2) + "a" * (size % 2)


def takes(speaker: Speaker, method: str, **params: Any) -> dict[str, Any]:
    """The error, or nothing."""
    return speaker.client.request(method, speaker.params(**params)).get("error", {})


def error_of(speaker: Speaker, tool: str, **arguments: Any) -> dict[str, str]:
    return json.loads(speaker.call(tool, **arguments)["content"][0]["text"])["error"]


def test_an_address_is_measured_before_it_is_looked_at(setup: Setup) -> None:
    with speaking(setup, LEGACY) as speaker:
        for method in ("resources/read", "resources/subscribe"):
            for uri, words in (
                (address(8193), TOO_LONG),
                (address(40_000), TOO_LONG),
                ("queue://jobs/" + "x" * 8180, TOO_LONG),
                ("walls://" + "é" * 4093, TOO_LONG),  # characters of two bytes
                (address(8192), "not found"),
                ("queue://jobs/" + "x" * 8179, "not found"),
            ):
                error = takes(speaker, method, uri=uri)
                assert words in error["message"], (method, len(uri), error)
                assert len(error["message"]) < 1000
        assert TOO_LONG in takes(speaker, "resources/unsubscribe", uri=address(8193))["message"]
        for ref, argument in (
            ({"type": "ref/resource", "uri": address(8193)}, {"name": "a", "value": ""}),
            ({"type": "ref/prompt", "name": "x" * 257}, {"name": "a", "value": ""}),
            ({"type": "ref/prompt", "name": "diagnose_job"}, {"name": "x" * 257, "value": ""}),
            (
                {"type": "ref/prompt", "name": "diagnose_job"},
                {"name": "job_id", "value": "x" * 8193},
            ),
        ):
            error = takes(speaker, "completion/complete", ref=ref, argument=argument)
            assert TOO_LONG in error["message"], error
        value = {"name": "job_id", "value": "x" * 8192}
        ref = {"type": "ref/prompt", "name": "diagnose_job"}
        assert speaker.request("completion/complete", ref=ref, argument=value)
        divided = "walls://" + "/".join(["a" * 1000] * 8) + "!"
        contents = speaker.request("resources/read", uri=divided)["contents"]
        assert len(json.loads(contents[0]["text"])) == 6


def test_names_are_measured_before_near_ones_are_sought(setup: Setup) -> None:
    with speaking(setup, LEGACY) as speaker:
        for method in ("tools/call", "prompts/get"):
            error = takes(speaker, method, name="x" * 257)
            assert (error["code"], TOO_LONG in error["message"]) == (-32602, True)
            assert "Unknown" in takes(speaker, method, name="x" * 256)["message"]
        assert "Did you mean 'numbers'" in takes(speaker, "tools/call", name="number")["message"]
        for name in ("number" * 100_000, "\u00e9" * 200):
            answer = speaker.call("queue_add_job", command=name)["structuredContent"]["error"]
            assert answer["code"] == "command_not_found"
            assert "Did you mean" not in answer["message"]
            assert len(answer["message"]) < 1000
        answer = speaker.call("queue_get_job_status", job_id="x" * 1_000_000)
        assert answer["structuredContent"]["error"]["code"] == "job_not_found"
        assert len(json.dumps(answer)) < 2000


def test_wrong_arguments_are_put_into_words_up_to_a_bound(setup: Setup) -> None:
    with speaking(setup, LEGACY) as speaker:
        for arguments, count in (
            ({f"value{n}": 0 for n in range(20_000)} | {"values": []}, 20_000),
            ({"values": ["x"] * 20_000}, 20_000),
            ({"x" * 1_000_000: 0, "values": []}, 1),
        ):
            found = error_of(speaker, "numbers", **arguments)
            assert found["code"] == "invalid_params"
            assert len(json.dumps(found)) < 2000
            if count > 5:
                assert f"and {count - 5:d} more" in found["message"]


def test_patterns_take_a_time_that_grows_with_the_text_alone(setup: Setup) -> None:
    with speaking(setup, LEGACY) as speaker:
        bad = "a" * 5000 + "!"
        assert speaker.call("conditional", text=bad)["structuredContent"]["result"] == "taken"
        for arguments in ({"text": "aaa"}, {"text": "aaa", "n": "x"}):
            assert error_of(speaker, "conditional", **arguments)["code"] == "invalid_params"
        assert "match pattern" in error_of(speaker, "patterned", text=bad)["message"]


def test_a_job_takes_so_many_bytes_of_arguments(setup: Setup) -> None:
    with speaking(setup, LEGACY) as speaker:
        text = "x" * ((4 << 20) - 100)
        added = speaker.call("queue_add_job", command="rests", params={"text": text})
        assert added["structuredContent"]["status"] == "pending"
        text = "x" * (4 << 20)
        for tool, arguments in (
            ("rests", {"text": text}),
            ("rests", {"text": "é" * (2 << 20)}),
            ("queue_add_job", {"command": "rests", "params": {"text": text}}),
        ):
            found = speaker.call(tool, **arguments)["structuredContent"]["error"]
            assert (found["code"], "4,194,304" in found["message"]) == ("invalid_params", True)
            assert "a file" in found["hint"]
        assert len(speaker.call("queue_list_jobs")["structuredContent"]["jobs"]) == 1


async def test_a_wait_names_so_many_jobs_and_so_many_waits_are_open(setup: Setup) -> None:
    gate = setup.gate("gate")
    with speaking(setup, LEGACY) as speaker:
        found = speaker.call("queue_wait_job", job_ids=["x"] * 1001)["structuredContent"]
        assert "1,001 entries" in found["error"]["message"]
        found = speaker.call("queue_wait_job", job_ids=["x" * 1_000_000])["structuredContent"]
        assert (found["error"]["code"], len(json.dumps(found)) < 2000) == ("job_not_found", True)
        job_id = speaker.call("waits", path=str(gate))["structuredContent"]["job_id"]
        wait = {"name": "queue_wait_job", "arguments": {"job_ids": job_id, "timeout_seconds": 600}}
        posted = [speaker.client.post("tools/call", wait) for _ in range(1010)]
        first = speaker.client.wait_for(
            lambda received: received.is_answer and received.message["id"] in posted
        )
        view = first.message["result"]["structuredContent"]
        assert (view["timed_out"], "queue_wait_job again" in view["next"]) == (True, True)
        assert speaker.call("queue_health")["structuredContent"]["running_jobs"] == 1
        gate.touch()
        for request_id in posted:
            speaker.client.answer(request_id)


def test_a_client_has_so_many_subscriptions(setup: Setup) -> None:
    with speaking(setup, LEGACY) as speaker:
        ids = [f"job-{number}" for number in range(1001)]
        for job_id in ids:
            speaker.call("queue_add_job", command="rests", params={"text": ""}, job_id=job_id)
        for job_id in ids[:-1]:
            speaker.request("resources/subscribe", uri=f"queue://jobs/{job_id}")
        error = takes(speaker, "resources/subscribe", uri=f"queue://jobs/{ids[-1]}")
        assert "No room" in error["message"]
        speaker.request("resources/subscribe", uri=f"queue://jobs/{ids[0]}")  # is one already
        speaker.request("resources/unsubscribe", uri=f"queue://jobs/{ids[0]}")
        speaker.request("resources/subscribe", uri=f"queue://jobs/{ids[-1]}")
        speaker.call("queue_delete_job", job_id=ids[-1])
        speaker.told("notifications/resources/updated", uri=f"queue://jobs/{ids[-1]}")


def test_a_stream_names_so_much(setup: Setup) -> None:
    with speaking(setup, MODERN, tasks=True) as speaker:
        uris = [f"queue://jobs/job-{number}" for number in range(1001)]
        for asked in (
            {"resourceSubscriptions": uris},
            {"taskIds": ["x"] * 1001},
            {"resourceSubscriptions": [address(8193)]},
            {"taskIds": ["x" * 257]},
        ):
            error = speaker.refused("subscriptions/listen", notifications=asked)
            assert TOO_LONG in error["message"], asked.keys()
        listen = {"notifications": {"resourceSubscriptions": uris[:1000]}}
        streams = [
            speaker.client.post("subscriptions/listen", speaker.params(**listen)) for _ in range(11)
        ]
        refusal = speaker.client.wait_for(
            lambda received: received.is_answer and received.message["id"] in streams
        )
        assert "No room" in refusal.message["error"]["message"]
        assert speaker.call("numbers", values=[])["structuredContent"]["result"] == 0


async def test_no_registry_takes_more_jobs_than_its_bound(persistent: Setup) -> None:
    async with persistent.client() as client:
        await call(client, "queue_health")
    path = persistent.settings["registry_path"]
    fill(path, BOUND - 1)
    async with persistent.client() as client:
        for policy in ("evict_oldest", "reject"):
            added = await call(client, "queue_add_job", command="rests", params={"text": policy})
            for tool, arguments in (
                ("rests", {"text": ""}),
                ("queue_add_job", {"command": "rests", "params": {"text": ""}}),
            ):
                error = await refused(client, tool, **arguments)
                assert (error["code"], "100,000" in error["message"]) == ("queue_full", True)
            health = await call(client, "queue_health")
            assert (health["pending_jobs"], health["max_queue_size"]) == (BOUND, None)
            await call(client, "queue_delete_job", job_id=added["job_id"])
            registry = Registry(path)
            with registry.transaction():
                written = json.loads(registry.value("SELECT value FROM settings"))
                text = json.dumps(written | {"queue_full_policy": "reject"})
                registry.execute("UPDATE settings SET value = ?", (text,))
            registry.close()


def fill(path: str, count: int) -> None:
    """Put jobs into a registry that were added and not started."""
    registry = Registry(path)
    with registry.transaction(durable=False):
        registry.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO jobs (job_id, command, job_type, status, rev, created_at, updated_at,"
            " params, call) SELECT 'old-' || i, 'rests', 'rests', 'pending', i, 0, 0, '{}', '{}'"
            " FROM n",
            (count,),
        )
        registry.execute("UPDATE counter SET value = ? WHERE name = 'rev'", (count,))
    registry.close()


async def test_a_job_keeps_files_up_to_the_cap(persistent: Setup) -> None:
    persistent.settings["artifact_cap_bytes"] = 100_000
    big = persistent.folder / "big"
    big.write_bytes(b"x" * 100_001)
    async with persistent.client() as client:

        async def run(tool: str, **arguments: Any) -> dict[str, Any]:
            return await ended(client, (await call(client, tool, **arguments))["job_id"])

        sizes = {"a": 60_000, "b": 40_000, "c": 1, "d": 100_001}
        view = await run("keeps", sizes=sizes)
        kept, full = view["result"][:2], view["result"][2:]
        assert kept == ["kept", "kept"]
        for text in full:
            assert text.startswith("ArtifactCapError")
            assert "100,000 bytes" in text
            assert "artifact_cap_bytes" in text
        names = [each["name"] for each in view["artifacts"]]
        assert names == ["a", "b"]
        health = await call(client, "queue_health")
        assert (health["artifact_cap_bytes"], health["disk_cap_bytes"]) == (100_000, None)
        assert health["disk_bytes"] >= health["artifact_bytes"] >= 0
        # What replaces another counts in its place.
        assert (await run("keeps", sizes={"a": 90_000}, again=5))["result"] == ["kept"]
        codes = (await run("keeps_in_children", size=40_000))["result"]
        assert codes == [0, 0, 7, 7]
        view = await run("keeps_a_copy", path=str(big))
        assert (view["status"], "artifact_cap_bytes" in view["error"]["message"]) == (
            "failed",
            True,
        )
        for tool in ("returns_files", "returns_image"):
            view = await run(tool, size=100_000)
            assert view["status"] == "failed"
            assert "artifact_cap_bytes" in view["error"]["message"]
        assert (await run("returns_files", size=50_000))["status"] == "completed"
    assert largest_artifact(persistent) <= 100_000


def largest_artifact(setup: Setup) -> int:
    runs = Path(setup.settings["registry_path"] + ".d", "runs")
    return max(file.stat().st_size for file in runs.glob("*/artifacts/*"))


async def test_past_the_cap_on_the_disk_jobs_are_refused_until_there_is_room(
    persistent: Setup,
) -> None:
    persistent.settings["disk_cap_bytes"] = 4 << 20
    async with persistent.client() as client:
        job_id = (await call(client, "keeps", sizes={"a": 5 << 20}))["job_id"]
        await ended(client, job_id)
        while True:  # it is looked at now and then
            answer = await client.call_tool("rests", {"text": ""})
            if answer.is_error:
                break
        error = await refused(client, "rests", text="")
        assert error["code"] == "disk_cap"
        assert "4,194,304" in error["message"]
        assert "queue_delete_job" in error["hint"]
        error = await refused(
            client, "queue_add_job", command="rests", params={"text": ""}, job_id="x"
        )
        assert error["code"] == "disk_cap"
        health = await call(client, "queue_health")
        assert health["disk_cap_bytes"] == 4 << 20
        assert health["disk_bytes"] >= health["artifact_bytes"] >= 5 << 20
        assert health["status"] == "degraded"
        assert "No new job is taken." in health["problem"]
        assert "disk_cap_bytes allows 4,194,304" in health["problem"]
        await call(client, "queue_delete_job", job_id=job_id)
        while (answer := await client.call_tool("rests", {"text": ""})).is_error:
            pass
        view = await until(client, (answer.structured_content or {})["job_id"], status="completed")
        assert view["result"] == 0


async def test_a_pattern_without_a_bound_is_no_condition(setup: Setup) -> None:
    file = setup.folder / "looks_around.py"
    conditions = "{'if': {'properties': {'text': {'pattern': '(?=a)b'}}}, 'then': False}"
    file.write_text(
        "from mcp_queue import command\n"
        f"@command(conditions={conditions})\n"
        "def looks(text: str) -> str:\n    return text\n"
    )
    setup.commands.append(str(file))
    async with setup.client() as client:
        assert "looks" not in {tool.name for tool in (await client.list_tools()).tools}
        [problem] = (await read(client, "queue://health"))["problems"]
        assert "no bound to its time" in json.dumps(problem)
