"""Jobs as tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from mcp_queue import clock
from mcp_queue.jobs.record import JobError
from mcp_queue.server.features.tasks import TaskParams, Tasks, created, detailed, task
from mcp_queue.server.following.tasks import MAX_JOBS, FollowedTasks
from mcp_queue.server.protocol.eras import TASKS
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


def handlers(*records: Any) -> tuple[Tasks, FollowedTasks, FakeQueue]:
    queue, followed = FakeQueue(*records), FollowedTasks()
    state: Any = SimpleNamespace(queue=queue, tasks=followed)
    return Tasks(state), followed, queue


DECLARES: Any = SimpleNamespace(
    protocol_version="2026-07-28",
    session=SimpleNamespace(
        client_capabilities=SimpleNamespace(extensions={TASKS: {}}, elicitation=None)
    ),
)


async def test_a_task_is_followed_until_its_end_is_told() -> None:
    tasks, followed, queue = handlers(record("job-1"), record("job-2"))
    for job_id in ("job-1", "job-2", "job-1"):
        await tasks.get(DECLARES, TaskParams(task_id=job_id))
    assert len(followed) == 2
    queue.change("job-1", status="completed", result_size=4)
    assert "job-1" in followed  # nobody was told yet
    answer = await tasks.get(DECLARES, TaskParams(task_id="job-1"))
    assert answer["status"] == "completed"
    assert "job-1" not in followed
    assert "job-2" in followed


@pytest.mark.parametrize("forgotten", [True, False])
async def test_a_task_that_is_gone_is_followed_no_more(forgotten: bool) -> None:
    tasks, followed, queue = handlers(record("job-1"))
    await tasks.get(DECLARES, TaskParams(task_id="job-1"))
    assert "job-1" in followed
    if forgotten:
        del queue.records["job-1"]
    else:
        queue.change("job-1", status="deleted", reason="by a test")
    with pytest.raises(MCPError, match="Task not found"):
        await tasks.get(DECLARES, TaskParams(task_id="job-1"))
    assert "job-1" not in followed


def test_of_very_many_tasks_those_that_were_asked_for_are_followed() -> None:
    followed = FollowedTasks()
    for number in range(MAX_JOBS):
        followed.add(str(number))
    followed.add("0")  # its client has asked for it again
    followed.add("new")
    assert len(followed) == MAX_JOBS
    assert "0" in followed
    assert "1" not in followed
