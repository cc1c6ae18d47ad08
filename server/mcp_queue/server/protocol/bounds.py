"""Limits for the length of names and URIs in requests, checked before they are looked up.

The cost of matching a URI or finding a similar name grows faster than its length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.commands.near import NAME_LIMIT
from mcp_queue.server.protocol.eras import invalid_params

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp.server.context import CallNext, HandlerResult

    from mcp_queue.server.protocol.eras import Context

URI_LIMIT = 8192  # bytes of a URI, and of a text to complete
MAX_SUBSCRIBED = 1000  # URIs, and tasks, of one subscription

_LIMITS: dict[str, tuple[str, int]] = {
    "tools/call": ("name", NAME_LIMIT),
    "prompts/get": ("name", NAME_LIMIT),
    "resources/read": ("uri", URI_LIMIT),
    "resources/subscribe": ("uri", URI_LIMIT),
    "resources/unsubscribe": ("uri", URI_LIMIT),
    "tasks/get": ("taskId", NAME_LIMIT),
    "tasks/update": ("taskId", NAME_LIMIT),
    "tasks/cancel": ("taskId", NAME_LIMIT),
}
_SUBSCRIPTION_LIMITS = {"resourceSubscriptions": URI_LIMIT, "taskIds": NAME_LIMIT}


async def bounded(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: refuse names and URIs that are too long, and subscriptions with too many."""
    for what, text, most in _limited_texts(ctx.method, ctx.params or {}):
        # A character has at least one byte, so a text that is too long need not be encoded.
        size = len(text) if len(text) > most else len(text.encode("utf-8", "replace"))
        if size > most:
            raise invalid_params(f"{what} has {size:,} bytes or more; {most:,} are taken at most")
    return await call_next(ctx)


def _limited_texts(method: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """The name of each parameter that has a limit, its text, and its limit in bytes."""
    if method in _LIMITS:
        key, most = _LIMITS[method]
        yield from _texts(params, {key: most})
    elif method == "completion/complete":
        yield from _texts(params.get("ref"), {"name": NAME_LIMIT, "uri": URI_LIMIT})
        yield from _texts(params.get("argument"), {"name": NAME_LIMIT, "value": URI_LIMIT})
    elif method == "subscriptions/listen":
        filter_ = params.get("notifications")
        for key, most in _SUBSCRIPTION_LIMITS.items():
            texts: Any = filter_.get(key) if isinstance(filter_, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if not isinstance(texts, list):
                continue
            if len(texts) > MAX_SUBSCRIBED:  # pyright: ignore[reportUnknownArgumentType]
                count = f"{len(texts):,}"  # pyright: ignore[reportUnknownArgumentType]
                raise invalid_params(f"{key} names {count}; {MAX_SUBSCRIBED:,} are taken at most")
            for text in texts:  # pyright: ignore[reportUnknownVariableType]
                if isinstance(text, str):
                    yield f"one of {key}", text, most


def _texts(values: Any, keys: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    if isinstance(values, dict):
        for key, most in keys.items():
            text: Any = values.get(key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if isinstance(text, str):
                yield key, text, most
