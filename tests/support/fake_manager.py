"""A queue without processes: the jobs are what a test says they are."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_queue import clock
from mcp_queue.config import Settings
from mcp_queue.errors import JobNotFoundError, QueueError, SupervisorError
from mcp_queue.jobs.record import JobRecord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from contextlib import AbstractContextManager


def record(job_id: str = "job-1", status: str = "running", **fields: Any) -> JobRecord:
    """A record of the command ``train``, with these fields."""
    now = clock.wall()
    blank: dict[str, Any] = {
        "rev": 1,
        "progress": 0.0,
        "description": "",
        "result": None,
        "result_size": None,
        "error": None,
        "attempt": 1,
        "exit_code": None,
        "signal": None,
        "created_at": now,
        "started_at": None,
        "finished_at": None,
        "updated_at": now,
        "reason": None,
        "run_id": None,
        "queued": status == "pending",
        "stop_requested": False,
    }
    return JobRecord(job_id=job_id, command="train", status=status, **{**blank, **fields})


class FakeQueue:
    """The parts of `QueueManager` that views, waits and subscriptions use."""

    def __init__(self, *records: JobRecord, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.records = {each.job_id: each for each in records}
        self.results: dict[str, Any] = {}
        self.watchers = 0
        self.opening = asyncio.Event()  # cleared: a watch takes its time to begin
        self.opening.set()
        self.broken: QueueError | None = None
        self.problem: SupervisorError | None = None
        self._changes: list[asyncio.Queue[JobRecord]] = []

    def while_supervised(self, _needed: Callable[[], bool]) -> AbstractContextManager[None]:
        """Nothing is supervised here."""
        return nullcontext()

    def change(self, job_id: str, **fields: Any) -> None:
        """Change a job, or make one, and tell who watches."""
        before = self.records.get(job_id) or record(job_id)
        self.records[job_id] = replace(before, rev=before.rev + 1, **fields)
        for changes in self._changes:
            changes.put_nowait(self.records[job_id])

    async def record_of(self, job_id: str) -> JobRecord:
        if job_id not in self.records:
            raise JobNotFoundError(job_id=job_id)
        return self.records[job_id]

    async def result_preview(self, job: JobRecord, characters: int) -> str:
        value = await self.result_of(job.job_id) if job.result is None else job.result
        return json.dumps(value)[:characters]

    async def retention(self) -> float:
        return self.settings.completed_job_retention_seconds

    async def result_of(self, job_id: str) -> Any:
        return self.results[job_id]

    async def watch(
        self, job_ids: Iterable[str] | None = None, begin: Callable[[], None] | None = None
    ) -> AsyncGenerator[JobRecord]:
        names = None if job_ids is None else list(job_ids)
        changes: asyncio.Queue[JobRecord] = asyncio.Queue()
        await self.opening.wait()
        if self.broken is not None:
            raise self.broken
        self._changes.append(changes)
        self.watchers += 1
        if begin is not None:
            begin()
        try:
            for name in names or ():
                yield await self.record_of(name)
            while True:
                changed = await changes.get()
                if names is None or changed.job_id in names:
                    yield changed
        finally:
            self._changes.remove(changes)
            self.watchers -= 1
