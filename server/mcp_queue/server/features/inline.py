"""Calls of queued commands with ``inline_wait``: the result in time, else the handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_queue.builtin.waiting import follow
from mcp_queue.errors import QueueError
from mcp_queue.server.authored.progress import reporting
from mcp_queue.server.features.tasks import finished
from mcp_queue.server.protocol.results import job_links, success
from mcp_queue.views import handle, job_view

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.protocol.eras import Context


async def answered(
    context: Context, queue: QueueManager, record: JobRecord, seconds: float
) -> CallToolResult:
    """Wait for the job, at most ``seconds``, with progress; cancelling it leaves the job alone.

    The job is queued, so whatever hinders the wait, the answer is its handle, or what it asks.
    Raises InputNeeded when the client has to call again with answers.
    """
    try:
        async with reporting(context, {"job": record.job_id}) as job:
            records, _ = await follow(queue, {record.job_id: record}, seconds, "all", job)
        record = records[record.job_id]
        if record.terminal:
            return await finished(context, queue, record)
        if record.questions:
            return success(await job_view(queue, record), *job_links(context, record))
    except QueueError:  # forgotten already, or a disk that fails
        pass
    return success(handle(record), *job_links(context, record))
