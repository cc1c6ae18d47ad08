"""Text and structured content, each complete alone."""

from __future__ import annotations

import json
import math

import pytest
from mcp_types import TextContent

from mcp_queue.server.instructions import INSTRUCTIONS
from mcp_queue.server.results import (
    NotSerializableError,
    compact,
    error_shape,
    failure,
    success,
)


def test_text_and_structured_content_say_the_same() -> None:
    result = success({"success": True, "text": "ä\ud800", "number": math.nan, "pair": (1, 2)})
    assert isinstance(result.content[0], TextContent)
    assert json.loads(result.content[0].text) == result.structured_content
    expected = {"success": True, "text": "ä?", "number": None, "pair": [1, 2]}
    assert result.structured_content == expected


def test_what_json_cannot_hold() -> None:
    with pytest.raises(NotSerializableError):
        compact({"value": object()})


def test_errors() -> None:
    shape = error_shape("code", "what is wrong", "what to do")
    result = failure(shape)
    assert result.is_error
    assert result.structured_content == shape
    alone = failure(shape, text_only=True)
    assert alone.structured_content is None
    assert isinstance(alone.content[0], TextContent)
    assert json.loads(alone.content[0].text) == shape


def test_instructions_are_short() -> None:
    assert len(INSTRUCTIONS.encode()) <= 1024
