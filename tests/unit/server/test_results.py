"""Text and structured content, each complete alone."""

from __future__ import annotations

import json

from mcp_types import TextContent

from mcp_queue.server.instructions import INSTRUCTIONS
from mcp_queue.server.protocol.results import (
    error_shape,
    failure,
    success,
)


def test_text_and_structured_content_say_the_same() -> None:
    result = success({"success": True, "text": "ä\ud800"})
    assert isinstance(result.content[0], TextContent)
    assert json.loads(result.content[0].text) == result.structured_content
    assert result.structured_content == {"success": True, "text": "ä?"}


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
