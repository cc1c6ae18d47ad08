"""What a server may send beyond what the schema of its era can say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jsonschema
from pydantic import AwareDatetime, TypeAdapter

from support import schemas
from support.schemas import MODERN

META_PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = f"{META_PREFIX}protocolVersion"

_TIME = TypeAdapter(AwareDatetime)


def check_result(method: str, version: str, result: Mapping[str, Any]) -> None:
    """Raise unless ``result`` is an answer to ``method`` in the protocol's ``version``."""
    schemas.check_result(version, result, method)
    if method == "tasks/get" or result.get("resultType") == "task":
        check_task(version, result)
    elif method.startswith("tasks/"):
        assert version == MODERN, f"there are no tasks in {version}"


def check_notification(version: str, message: Mapping[str, Any]) -> None:
    """Raise unless ``message`` is a notification of the protocol's ``version``."""
    schemas.check_notification(version, message)
    if message["method"] == "notifications/tasks":
        check_task(version, message["params"])


def check_task(version: str, task: Mapping[str, Any]) -> None:
    """Raise unless the task's times are in order and its result is one of ``tools/call``."""
    assert version == MODERN, f"there are no tasks in {version}"
    created, updated = (_moment(task[key]) for key in ("createdAt", "lastUpdatedAt"))
    assert created <= updated
    assert task["taskId"]
    assert task.get("pollIntervalMs", 0) >= 0
    belongs = {"completed": "result", "failed": "error", "input_required": "inputRequests"}
    for status, key in belongs.items():
        if task.get("resultType") != "task":
            assert (key in task) == (task["status"] == status), task
    if task["status"] == "completed" and "result" in task:
        schemas.check_result(version, {"resultType": "complete", **task["result"]}, "tools/call")


def check_structured(tool: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Raise if ``result`` of ``tools/call`` is not what the tool's ``outputSchema`` promises."""
    schema = tool.get("outputSchema")
    if schema is None or result.get("resultType") == "task":
        return
    if "structuredContent" in result:
        jsonschema.validate(result["structuredContent"], schema)
    else:
        assert result.get("isError"), f"{tool['name']} promises structured content"


def _moment(text: str) -> datetime:
    return _TIME.validate_python(text)
