"""Jobs as tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mcp_queue import clock
from mcp_queue.jobs.record import JobError
from mcp_queue.server.features.tasks import created, detailed, task
from support.fake_manager import FakeQueue, record

CONTEXT: Any = SimpleNamespace(protocol_version="2026-07-28")


def shown(status: str, **fields: Any) -> dict[str, Any]:
    return task(record(status=status, **fields), FakeQueue(in_memory=False).settings)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        ("pending", None, "working"),
        ("running", None, "working"),
        ("completed", None, "completed"),
        ("stopped", None, "cancelled"),
        ("failed", "exception", "completed"),
        ("failed", "signal", "completed"),
        ("failed", "interrupted", "failed"),
        ("failed", "import_error", "failed"),
    ],
)
def test_the_status(status: str, error: str | None, expected: str) -> None:
    assert shown(status, error=JobError(error, "why") if error else None)["status"] == expected


def test_what_a_call_is_answered_with() -> None:
    answer = created(record("job-7", "pending", queue_position=1), FakeQueue().settings)
    assert answer["resultType"] == "task"
    assert answer["taskId"] == "job-7"
    assert answer["ttlMs"] is None
    assert answer["pollIntervalMs"] == 250


@pytest.mark.parametrize(("age", "interval"), [(0, 250), (20, 1000), (60, 3000), (9999, 5000)])
def test_polls_grow_with_the_age_of_the_job(
    monkeypatch: pytest.MonkeyPatch, age: float, interval: int
) -> None:
    now = clock.wall()
    monkeypatch.setattr(clock, "wall", lambda: now)
    assert shown("running", created_at=now - age)["pollIntervalMs"] == pytest.approx(interval)


def test_the_message_tells_the_progress() -> None:
    message = shown("running", progress=12.5, description="epoch 1")["statusMessage"]
    assert message == "12.5% · epoch 1"


def test_in_memory_the_message_says_that_the_job_ends_with_the_session() -> None:
    settings = FakeQueue(in_memory=True).settings
    running = task(record(progress=1.0), settings)["statusMessage"]
    assert "ends with this session" in running
    assert "session" not in task(record(status="completed"), settings)["statusMessage"]


async def test_a_finished_task_holds_the_result_of_the_call() -> None:
    queue: Any = FakeQueue()
    done = record(status="completed", result=[1], result_size=3)
    result = (await detailed(CONTEXT, queue, done))["result"]
    assert result["isError"] is False
    assert result["structuredContent"]["result"] == [1]
    assert {link["type"] for link in result["content"]} == {"text", "resource_link"}


@pytest.mark.parametrize(
    ("retention", "age", "ttl"), [(3600.0, 2.5, 3_602_500), (0.0, 2.5, None), (60.0, -9.0, 60_000)]
)
async def test_an_ended_task_tells_how_long_it_is_kept(
    retention: float, age: float, ttl: int | None
) -> None:
    queue: Any = FakeQueue(completed_job_retention_seconds=retention)
    done = record(status="completed", created_at=1000.0, finished_at=1000.0 + age)
    assert (await detailed(CONTEXT, queue, done))["ttlMs"] == ttl
    assert (await detailed(CONTEXT, queue, record(status="running")))["ttlMs"] is None


async def test_a_failed_job_is_an_error_of_the_tool() -> None:
    failed = record(status="failed", error=JobError("exception", "ValueError: no"))
    queue: Any = FakeQueue()
    result = (await detailed(CONTEXT, queue, failed))["result"]
    assert result["isError"] is True
    structured = result["structuredContent"]
    assert structured["success"] is False
    assert structured["job_id"] == "job-1"
    assert set(structured["error"]) == {"code", "message", "hint"}


async def test_a_lost_job_is_an_error_of_the_protocol() -> None:
    lost = record(status="failed", error=JobError("interrupted", "the worker is gone"))
    queue: Any = FakeQueue()
    view = await detailed(CONTEXT, queue, lost)
    assert view["error"] == {"code": -32603, "message": "the worker is gone"}
    assert "result" not in view
