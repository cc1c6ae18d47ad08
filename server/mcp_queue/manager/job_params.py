"""Params as JSON. Values that JSON would lose or change are refused."""

from __future__ import annotations

from typing import Any

from mcp_queue.errors import InvalidParamsError
from mcp_queue.values import NotJsonError, exact_json

MAX_BYTES = 4 << 20  # bytes of JSON: a write delays all other writes to the registry


def to_json(command: str, params: dict[str, Any]) -> str:
    """``params`` as JSON text. Raises InvalidParamsError, which names the place in them."""
    try:
        text = exact_json(params, "params")
    except (NotJsonError, ValueError) as error:
        raise InvalidParamsError(
            command=command,
            problems=str(error),
            advice="Params go to another process as JSON: text, numbers, true, false, null, lists, "
            "and dicts with text as keys. Pass a path as its text, an object as a dict.",
        ) from error
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise InvalidParamsError(
            command=command,
            problems=f"they take {size:,} bytes as JSON, at most {MAX_BYTES:,} are queued",
            advice="Put what is large into a file, and pass its path.",
        )
    return text
