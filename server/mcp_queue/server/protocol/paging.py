"""Pages, with an opaque cursor, of lists that do not change while the server runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from mcp_queue.server.protocol.eras import invalid_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_types import PaginatedRequestParams

Item = TypeVar("Item")

_CURSOR = re.compile(r"from-([0-9]{1,9})", re.ASCII)


def page_of(
    items: Sequence[Item], params: PaginatedRequestParams | None, size: int
) -> tuple[list[Item], str | None]:
    """Up to ``size`` items, and the cursor of the next page if there is one.

    A cursor that this server did not make is a protocol error.
    """
    start = 0
    if params is not None and params.cursor is not None:
        match = _CURSOR.fullmatch(params.cursor)
        start = int(match[1]) if match else 0
        if not 0 < start < len(items):
            raise invalid_params(
                f"cursor is not one of ours: {params.cursor[:80]!r}. Pass nextCursor as it is."
            )
    end = start + size
    return list(items[start:end]), f"from-{end}" if end < len(items) else None
