"""Each queue tool with its documented shape, and each refusal with its error."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from support.rawclient import RawClient
from support.serving import (
    ENVELOPE,
    GUARD,
    HANDSHAKE,
    IMPORTING,
    Setup,
    call,
    ended,
    read,
    refused,
    until,
)

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_running_job_is_stopped(setup: Setup, mode: str) -> None:
    async with setup.client(mode) as client:
        job_id = (await call(client, "gated", gate=str(setup.gate("never"))))["job_id"]
        await until(client, job_id, status="running")
        stopped = await call(client, "queue_stop_job", job_id=job_id)
        assert (stopped["job_id"], stopped["status"]) == (job_id, "stopped")
        assert (await ended(client, job_id))["status"] == "stopped"
        error = await refused(client, "queue_stop_job", job_id=job_id)
        assert error["code"] == "invalid_job_state"
        assert job_id in error["message"]


async def test_added_jobs_are_started_stopped_deleted_and_listed(setup: Setup, mode: str) -> None:
    gate = setup.gate("gate")
    async with setup.client(mode) as client:
        for job_id in ("first", "second", "third"):
            added = await call(
                client,
                "queue_add_job",
                command="gated",
                params={"gate": str(gate)},
                job_id=job_id,
            )
            assert (added["success"], added["job_id"], added["status"]) == (True, job_id, "pending")
            assert "queue_position" not in added

        started = await call(client, "queue_start_job", job_id="first")
        assert started["status"] == "running"
        assert (await refused(client, "queue_start_job", job_id="first"))[
            "code"
        ] == "invalid_job_state"

        assert (await call(client, "queue_stop_job", job_id="second"))["status"] == "stopped"
        deleted = await call(client, "queue_delete_job", job_id="third")
        assert (deleted["status"], deleted["reason"]) == ("deleted", "by client")
        tombstone = await call(client, "queue_get_job_status", job_id="third")
        assert (tombstone["status"], tombstone["reason"]) == ("deleted", "by client")

        jobs = (await call(client, "queue_list_jobs"))["jobs"]
        assert [job["job_id"] for job in jobs] == ["second", "first"]
        only = (await call(client, "queue_list_jobs", status="stopped"))["jobs"]
        assert [job["job_id"] for job in only] == ["second"]

        health = await call(client, "queue_health")
        assert health["success"] is True
        assert (health["total_jobs"], health["running_jobs"], health["stopped_jobs"]) == (2, 1, 1)
        assert health["supervisor"]["running"] is True

        gate.touch()
        view = await ended(client, "first")
        assert (view["status"], view["result"], view["progress"]) == ("completed", "passed", 100)
        logs = await call(client, "queue_get_job_logs", job_id="first")
        assert logs["stdout"] == [IMPORTING, "waiting at the gate"]
        later = await call(client, "queue_get_job_logs", job_id="first", since=logs["cursor"])
        assert later["stdout"] == []


async def test_refusals(setup: Setup, mode: str) -> None:
    async with setup.client(mode) as client:
        for tool in (
            "queue_start_job",
            "queue_stop_job",
            "queue_delete_job",
            "queue_get_job_status",
            "queue_get_job_logs",
        ):
            error = await refused(client, tool, job_id=UNKNOWN)
            assert (error["code"], UNKNOWN in error["message"]) == ("job_not_found", True)
        assert (await refused(client, "queue_wait_job", job_ids=[UNKNOWN]))[
            "code"
        ] == "job_not_found"

        missing = await refused(client, "gated")
        assert (missing["code"], "gate" in missing["message"]) == ("invalid_params", True)
        wrong = await refused(client, "gated", gate=["a", "list"])
        assert (wrong["code"], '["a", "list"]' in wrong["message"]) == ("invalid_params", True)
        assert (await refused(client, "queue_add_job", command="gatd", params={}))[
            "code"
        ] == "command_not_found"

        await call(client, "queue_add_job", command="spin", params={}, job_id="twice")
        again = await refused(client, "queue_add_job", command="spin", params={}, job_id="twice")
        assert (again["code"], "twice" in again["message"]) == ("job_already_exists", True)


@pytest.mark.parametrize("arguments", [["a", "list"], "text", 7, True])
@pytest.mark.parametrize("envelope", [None, ENVELOPE], ids=["legacy", "modern"])
def test_arguments_that_are_no_object(setup: Setup, envelope: Any, arguments: Any) -> None:
    with RawClient(setup.command) as client:
        meta = {"_meta": envelope} if envelope else {}
        if not envelope:
            client.request("initialize", HANDSHAKE)
            client.notify("notifications/initialized")
        answer = client.request("tools/call", {"name": "gated", "arguments": arguments, **meta})
    result = answer["result"]
    assert result["isError"] is True
    assert result["structuredContent"]["error"]["code"] == "invalid_params"
    assert "object" in result["structuredContent"]["error"]["message"]
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


async def test_a_disabled_queue_says_so(setup: Setup, mode: str) -> None:
    setup.settings["enabled"] = False
    async with setup.client(mode) as client:
        assert "gated" in {tool.name for tool in (await client.list_tools()).tools}
        error = await refused(client, "gated", gate="x")
        assert (error["code"], "enabled" in error["hint"]) == ("queue_disabled", True)
        assert (await call(client, "chatty", text="plain"))["result"] == "PLAIN"
        assert (await call(client, "queue_health"))["status"] == "disabled"


async def test_one_slot_three_jobs_in_order(setup: Setup) -> None:
    setup.settings["max_concurrent_jobs"] = 1
    gates = [setup.gate(name) for name in ("a", "b", "c")]
    async with setup.client() as client:
        ids = [(await call(client, "gated", gate=str(gate)))["job_id"] for gate in gates]
        await until(client, ids[0], status="running")
        assert (await until(client, ids[1], queue_position=1))["status"] == "pending"
        assert (await until(client, ids[2], queue_position=2))["status"] == "pending"
        gates[0].touch()
        await until(client, ids[1], status="running")
        assert (await until(client, ids[2], queue_position=1))["status"] == "pending"
        gates[1].touch()
        gates[2].touch()
        views = [await ended(client, job_id) for job_id in ids]
    assert [view["status"] for view in views] == ["completed"] * 3
    assert [view["started_at"] for view in views] == sorted(view["started_at"] for view in views)


async def test_an_evicted_job_shows_why_it_is_gone(setup: Setup, mode: str) -> None:
    setup.settings["max_queue_size"] = 1
    reason = "evicted by max_queue_size"
    async with setup.client(mode) as client:
        first = (await call(client, "gated", gate=str(setup.gate("never"))))["job_id"]
        await until(client, first, status="running")
        second = (await call(client, "gated", gate=str(setup.gate("open"))))["job_id"]
        tombstone = await call(client, "queue_get_job_status", job_id=first)
        assert (tombstone["status"], tombstone["reason"]) == ("deleted", reason)
        assert (await ended(client, first))["reason"] == reason
        assert (await read(client, f"queue://jobs/{first}"))["reason"] == reason
        with pytest.raises(MCPError, match=reason):
            await read(client, f"queue://jobs/{first}/logs")
        for tool in ("queue_get_job_logs", "queue_stop_job", "queue_delete_job"):
            error = await refused(client, tool, job_id=first)
            assert (error["code"], reason in error["message"]) == ("invalid_job_state", True)
        assert [job["job_id"] for job in (await call(client, "queue_list_jobs"))["jobs"]] == [
            second
        ]
        health = await call(client, "queue_health")
        assert (health["max_queue_size"], health["total_jobs"]) == (1, 1)
        setup.gate("open").touch()
        assert (await ended(client, second))["result"] == "passed"


async def test_a_full_queue_says_which_limit_and_what_to_do(setup: Setup, mode: str) -> None:
    setup.settings.update(per_job_type_limits={"gated": 1}, queue_full_policy="reject")
    async with setup.client(mode) as client:
        await call(client, "gated", gate=str(setup.gate("open")))
        error = await refused(client, "gated", gate="x")
        assert error["code"] == "queue_full"
        assert "per_job_type_limits['gated'] is 1" in error["message"]
        assert "queue_wait_job" in error["hint"]
        setup.gate("open").touch()


async def test_a_job_past_its_retention_is_unknown(setup: Setup, mode: str) -> None:
    setup.settings["completed_job_retention_seconds"] = 0.2
    async with setup.client(mode) as client:
        await call(client, "queue_add_job", command="spin", params={}, job_id="job")
        await call(client, "queue_start_job", job_id="job")
        await call(client, "queue_delete_job", job_id="job")
        status = {"job_id": "job"}
        with anyio.fail_after(GUARD):
            while not (  # noqa: ASYNC110 (nothing tells of it)
                await client.call_tool("queue_get_job_status", status)
            ).is_error:
                await anyio.sleep(0.01)
        error = await refused(client, "queue_get_job_status", job_id="job")
        assert (error["code"], "retention" in error["hint"]) == ("job_not_found", True)
