"""How long what a message names may be. Checked before anything looks for it.

To match an address or to find a near name costs more than its length, so both have a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.commands.near import LONGEST
from mcp_queue.server.protocol.eras import invalid_params

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp.server.context import CallNext, HandlerResult

    from mcp_queue.server.protocol.eras import Context

ADDRESS = 8192  # bytes of a URI, and of what is to be completed
MOST = 1000  # addresses, and tasks, that one subscription names

_NAMED: dict[str, tuple[str, int]] = {
    "tools/call": ("name", LONGEST),
    "prompts/get": ("name", LONGEST),
    "resources/read": ("uri", ADDRESS),
    "resources/subscribe": ("uri", ADDRESS),
    "resources/unsubscribe": ("uri", ADDRESS),
    "tasks/get": ("taskId", LONGEST),
    "tasks/update": ("taskId", LONGEST),
    "tasks/cancel": ("taskId", LONGEST),
}
_OF_A_SUBSCRIPTION = {"resourceSubscriptions": ADDRESS, "taskIds": LONGEST}


async def bounded(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: refuse names and addresses that are too long, and too many of them."""
    for what, text, most in _named(ctx.method, ctx.params or {}):
        # A character has a byte at least, so few are encoded in vain.
        size = len(text) if len(text) > most else len(text.encode("utf-8", "replace"))
        if size > most:
            raise invalid_params(f"{what} has {size:,} bytes or more; {most:,} are taken at most")
    return await call_next(ctx)


def _named(method: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """What it is, the text, and how many bytes it may have."""
    if method in _NAMED:
        key, most = _NAMED[method]
        yield from _texts(params, {key: most})
    elif method == "completion/complete":
        yield from _texts(params.get("ref"), {"name": LONGEST, "uri": ADDRESS})
        yield from _texts(params.get("argument"), {"name": LONGEST, "value": ADDRESS})
    elif method == "subscriptions/listen":
        asked = params.get("notifications")
        for key, most in _OF_A_SUBSCRIPTION.items():
            given: Any = asked.get(key) if isinstance(asked, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if not isinstance(given, list):
                continue
            if len(given) > MOST:  # pyright: ignore[reportUnknownArgumentType]
                found = f"{len(given):,}"  # pyright: ignore[reportUnknownArgumentType]
                raise invalid_params(f"{key} names {found}; {MOST:,} are taken at most")
            for text in given:  # pyright: ignore[reportUnknownVariableType]
                if isinstance(text, str):
                    yield f"one of {key}", text, most


def _texts(given: Any, keys: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    if isinstance(given, dict):
        for key, most in keys.items():
            text: Any = given.get(key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if isinstance(text, str):
                yield key, text, most
