"""What a server may send, by the schema of each era of the protocol.

The SDK's models know the core protocol; the tasks extension (SEP-2663) is modelled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import jsonschema
from mcp_types.methods import (
    SERVER_NOTIFICATIONS,
    parse_server_notification,
    validate_server_result,
)
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

MODERN = "2026-07-28"
META_PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = f"{META_PREFIX}protocolVersion"


class _Task(BaseModel):
    model_config = ConfigDict(strict=True)

    taskId: str = Field(min_length=1)  # noqa: N815
    createdAt: str  # noqa: N815
    lastUpdatedAt: str  # noqa: N815
    ttlMs: int | None  # noqa: N815
    pollIntervalMs: int | None = Field(default=None, ge=0)  # noqa: N815
    statusMessage: str = ""  # noqa: N815


class CreatedTask(_Task):
    resultType: Literal["task"]  # noqa: N815
    status: Literal["working", "input_required", "completed", "failed", "cancelled"]


class _Shown(_Task):
    resultType: Literal["complete"]  # noqa: N815


class Working(_Shown):
    status: Literal["working", "cancelled"]


class InputRequired(_Shown):
    status: Literal["input_required"]
    inputRequests: dict[str, dict[str, JsonValue]]  # noqa: N815


class Completed(_Shown):
    status: Literal["completed"]
    result: dict[str, JsonValue]


class _Error(BaseModel):
    code: int
    message: str


class Failed(_Shown):
    status: Literal["failed"]
    error: _Error


class Acknowledged(BaseModel):
    resultType: Literal["complete"]  # noqa: N815


_TASK_RESULTS: Mapping[str, TypeAdapter[Any]] = {
    "tasks/get": TypeAdapter(Working | InputRequired | Completed | Failed),
    "tasks/update": TypeAdapter(Acknowledged),
    "tasks/cancel": TypeAdapter(Acknowledged),
}
_TIME = TypeAdapter(AwareDatetime)


def check_result(method: str, version: str, result: Mapping[str, Any]) -> None:
    """Raise unless ``result`` is an answer to ``method`` in the protocol's ``version``."""
    if method in _TASK_RESULTS:
        assert version == MODERN, f"{method} does not exist in {version}"
        _check_task(_TASK_RESULTS[method].validate_python(result))
        if result.get("status") == "completed":
            check_result("tools/call", version, {"resultType": "complete", **result["result"]})
    elif method == "tools/call" and result.get("resultType") == "task":
        assert version == MODERN, f"there are no tasks in {version}"
        _check_task(CreatedTask.model_validate(result))
    else:
        validate_server_result(method, version, result)


def _check_task(shown: BaseModel) -> None:
    if isinstance(shown, _Task):
        created, updated = map(_moment, (shown.createdAt, shown.lastUpdatedAt))
        assert created <= updated


def _moment(text: str) -> datetime:
    return _TIME.validate_python(text)


def check_notification(version: str, message: Mapping[str, Any]) -> None:
    """Raise unless ``message`` is a notification of the protocol's ``version``."""
    method = message["method"]
    assert (method, version) in SERVER_NOTIFICATIONS, f"{method} does not exist in {version}"
    parse_server_notification(method, version, message.get("params"))


def check_structured(tool: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Raise if ``result`` of ``tools/call`` is not what the tool's ``outputSchema`` promises."""
    schema = tool.get("outputSchema")
    if schema is None or result.get("resultType") == "task":
        return
    if "structuredContent" in result:
        jsonschema.validate(result["structuredContent"], schema)
    else:
        assert result.get("isError"), f"{tool['name']} promises structured content"
