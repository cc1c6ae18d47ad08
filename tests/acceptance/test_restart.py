"""A persistent job outlives its server, and another server has it."""

from __future__ import annotations

import signal
from typing import Any

from support.rawclient import RawClient
from support.serving import ENVELOPE, IMPORTING, Setup, call, ended, read, read_text, until


def modern(client: RawClient, method: str, **params: Any) -> dict[str, Any]:
    """The result of a 2026-07-28 request of a client that knows tasks."""
    answer = client.request(method, {**params, "_meta": ENVELOPE})
    assert "result" in answer, answer
    return answer["result"]


async def test_a_job_survives_its_server(persistent: Setup) -> None:
    gate = persistent.gate("gate")
    with RawClient(persistent.command) as first:
        task = modern(first, "tools/call", name="gated", arguments={"gate": str(gate)})
        assert task["resultType"] == "task"
        assert task["status"] == "working"
        job_id = task["taskId"]
        while (
            modern(first, "tasks/get", taskId=job_id).get("statusMessage", "")
            != "10% · at the gate"
        ):
            pass
        first.kill()
        assert first.wait() == -signal.SIGKILL

    with RawClient(persistent.command) as second:
        task = modern(second, "tasks/get", taskId=job_id)
        assert (task["taskId"], task["status"]) == (job_id, "working")
        assert "at the gate" in task["statusMessage"]
        gate.touch()
        while task["status"] == "working":
            task = modern(second, "tasks/get", taskId=job_id)
        assert task["status"] == "completed"
        assert task["result"]["structuredContent"]["result"] == "passed"
        again = modern(second, "tasks/get", taskId=job_id)
        assert again["result"] == task["result"]

    async with persistent.client() as third:
        view = await read(third, f"queue://jobs/{job_id}")
        assert (view["status"], view["result"]) == ("completed", "passed")
        assert (await read(third, f"queue://jobs/{job_id}/result")) == "passed"
        log = await read_text(third, f"queue://jobs/{job_id}/logs/stdout")
        assert log.splitlines()[1:] == [IMPORTING, "waiting at the gate"]


async def test_progress_goes_on_for_a_second_server(persistent: Setup) -> None:
    gate = persistent.gate("gate")
    async with persistent.client() as first:
        job_id = (await call(first, "gated", gate=str(gate)))["job_id"]
        await until(first, job_id, description="at the gate")
        async with persistent.client("legacy") as second:
            assert (await until(second, job_id, progress=10))["status"] == "running"
            gate.touch()
            assert (await ended(second, job_id))["result"] == "passed"
        assert (await ended(first, job_id))["result"] == "passed"


async def test_a_task_is_cancelled_twice(persistent: Setup) -> None:
    with RawClient(persistent.command) as client:
        task = modern(client, "tools/call", name="spin", arguments={})
        for _ in range(2):
            modern(client, "tasks/cancel", taskId=task["taskId"])
        while task["status"] == "working":
            task = modern(client, "tasks/get", taskId=task["taskId"])
        assert task["status"] == "cancelled"
