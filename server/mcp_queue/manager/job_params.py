"""Params as JSON: what JSON would lose or change on the way to the worker is refused."""

from __future__ import annotations

from typing import Any

from mcp_queue.errors import InvalidParamsError
from mcp_queue.values import NotJsonError, exact_json


def to_json(command: str, params: dict[str, Any]) -> str:
    """``params`` as JSON text. Raises InvalidParamsError, which names the place in them."""
    try:
        return exact_json(params, "params")
    except (NotJsonError, ValueError) as error:
        raise InvalidParamsError(
            command=command,
            problems=str(error),
            advice="Params go to another process as JSON: text, numbers, true, false, null, lists, "
            "and dicts with text as keys. Pass a path as its text, an object as a dict.",
        ) from error
