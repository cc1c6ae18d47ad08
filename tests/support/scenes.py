"""A queue to do harm to: whatever the test does, the invariants are checked at its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_queue.jobs import states
from mcp_queue.manager import QueueManager
from support import invariants, queues
from support.invariants import Witness
from support.serving import HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.rawclient import RawClient


@dataclass
class Scene:
    """A queue, and the witness of what happens in its registry."""

    settings: Settings
    queue: QueueManager
    witness: Witness

    async def submit(self, name: str, **params: Any) -> JobRecord:
        """Queue a call."""
        record = await queues.submit(self.queue, name, **params)
        self.witness.told(record)
        return record

    async def run(self, name: str, **params: Any) -> JobRecord:
        """Queue a call and wait for its end."""
        return await self.done(await self.submit(name, **params))

    async def done(self, job: JobRecord) -> JobRecord:
        """The job once it has ended."""
        return await queues.done(self.queue, job)

    async def until(self, job: JobRecord, is_so: Callable[[JobRecord], object]) -> JobRecord:
        """The job once ``is_so`` holds of it."""
        return await queues.until(self.queue, job, is_so)

    async def logs(self, job: JobRecord) -> dict[str, Any]:
        """Its output."""
        return await self.queue.get_job_logs(job.job_id)


@asynccontextmanager
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    """A queue with a witness; its test must see every job to its end."""
    async with await QueueManager.open(settings) as queue:
        stage = Scene(settings, queue, Witness(queue.registry_path))
        yield stage
        if settings.in_memory:
            await invariants.becomes(
                lambda: not stage.witness.unfinished(), f"no end: {stage.witness.unfinished()}"
            )
            stage.witness.check_jobs()
    if settings.in_memory:
        await invariants.becomes(lambda: not invariants.workers(), "a worker without a server")
        folder = Path(queue.registry_path).parent
        await invariants.becomes(lambda: not folder.exists(), "the folder of the registry")
        await invariants.serves(settings)
    else:
        await invariants.check(settings, stage.witness)


def failure(record: JobRecord) -> tuple[str, str | None]:
    """How a job ended: ``failed`` and the code of its error."""
    assert record.status in states.TERMINAL, record
    return record.status, record.error.code if record.error is not None else None


@asynccontextmanager
async def observed(settings: Settings) -> AsyncIterator[Witness]:
    """A witness of a persistent registry; its test must end the servers that it starts."""
    witness = Witness(invariants.settings_path(settings))
    yield witness
    await invariants.check(settings, witness)


def greet(client: RawClient) -> None:
    """The handshake of a client."""
    client.request("initialize", HANDSHAKE)
    client.notify("notifications/initialized")


def call(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that must succeed."""
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    assert "result" in answer, answer
    assert not answer["result"].get("isError"), answer
    return answer["result"]["structuredContent"]


def refused(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    """The error of a call that must fail."""
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    assert "result" in answer, answer
    assert answer["result"].get("isError"), answer
    return answer["result"]["structuredContent"]["error"]
