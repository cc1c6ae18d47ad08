"""What a worker is made of, and where its output goes."""

from __future__ import annotations

from support.rawclient import RawClient
from support.serving import HANDSHAKE, IMPORTING, Setup, call, ended


async def test_a_worker_loads_neither_mcp_nor_pydantic(setup: Setup) -> None:
    async with setup.client() as client:
        prefixes = ["mcp", "mcp_types", "pydantic", "pydantic_core", "apsw", "mcp_queue"]
        job = await call(client, "modules", prefixes=prefixes)
        assert (await ended(client, job["job_id"]))["result"] == ["mcp_queue"]


async def test_all_output_is_in_the_log(setup: Setup) -> None:
    async with setup.client() as client:
        job_id = (await call(client, "noisy"))["job_id"]
        assert (await ended(client, job_id))["status"] == "completed"
        logs = await call(client, "queue_get_job_logs", job_id=job_id)
    assert logs["stdout"] == [IMPORTING, "line from Python", "line from C", "line from a child"]


def test_no_output_is_on_the_wire(setup: Setup) -> None:
    """`RawClient` fails at a line on standard output that is no JSON-RPC message."""
    with RawClient(setup.command) as client:
        client.request("initialize", HANDSHAKE)
        client.notify("notifications/initialized")
        plain = client.request("tools/call", {"name": "chatty", "arguments": {"text": "hi"}})
        assert plain["result"]["structuredContent"] == {"result": "HI"}
        handle = client.request("tools/call", {"name": "noisy", "arguments": {}})
        job_id = handle["result"]["structuredContent"]["job_id"]
        waited = client.request(
            "tools/call", {"name": "queue_wait_job", "arguments": {"job_ids": [job_id]}}
        )
        assert waited["result"]["structuredContent"]["jobs"][0]["status"] == "completed"
        client.close_stdin()
        client.wait()
        for stray in ("while importing", "from Python", "write", "the descriptor", "a child"):
            assert f"stray {stray}" in client.stderr or f"stray from {stray}" in client.stderr
        assert "line from" not in client.stderr
