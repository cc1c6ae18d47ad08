"""Calls of queued commands with ``inline_wait``: wait, then answer with result or handle."""

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


async def wait_inline(
    context: Context, queue: QueueManager, record: JobRecord, seconds: float
) -> CallToolResult:
    """Wait for the job at most ``seconds``, with progress. A cancelled wait does not stop the job.

    The job is queued, so an error during the wait is no error of the call: the answer is then the
    job's handle, or its questions. Raises InputNeeded when the client has to call again with
    answers.
    """
    try:
        async with reporting(context, {"job": record.job_id}) as job:
            records, _ = await follow(queue, {record.job_id: record}, seconds, "all", job)
        record = records[record.job_id]
        if record.terminal:
            return await finished(context, queue, record)
        if record.questions:
            return success(await job_view(queue, record), *job_links(context, record))
    except QueueError:  # the job is past its retention, or the disk fails
        pass
    return success(handle(record), *job_links(context, record))
