"""Pages of jobs behind an opaque cursor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mcp_queue.errors import InvalidParamsError

if TYPE_CHECKING:
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager

_CURSOR = re.compile(r"before-([0-9]{1,18})", re.ASCII)


async def page(
    queue: QueueManager, *, status: str | None = None, limit: int, cursor: str | None = None
) -> tuple[list[JobRecord], str | None]:
    """Jobs, newest first, and the cursor of the next page if there is one.

    Raises InvalidParamsError for a cursor that did not come from this function.
    """
    before = None
    if cursor is not None:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise InvalidParamsError(
                command="queue_list_jobs",
                problems=f"cursor is not one of ours: {cursor[:80]!r}",
                advice="Pass next_cursor of an earlier answer as it is, or leave cursor out.",
            )
        before = int(match[1])
    records, next_before = await queue.list_page(status=status, limit=limit, cursor=before)
    return records, None if next_before is None else f"before-{next_before}"
