"""The tasks extension (SEP-2663) as JSON schemas, to stand beside the definitions of 2026-07-28."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names}


def _all(*parts: Schema) -> Schema:
    return {"allOf": list(parts)}


def _state(status: str, **more: Schema) -> Schema:
    return _all(_ref("Task"), _object({"status": {"const": status}, **more}))


def _request(method: str, **more: Schema) -> Schema:
    params = _object({"taskId": {"type": "string"}, **more})
    return _all(
        _ref("JSONRPCRequest"), _object({"method": {"const": method}, "params": params})
    ) | {"properties": {"method": {"const": method}}}


_COMPLETE = _object({"resultType": {"const": "complete"}})
_TASK_IDS = _object({"taskIds": {"type": "array", "items": {"type": "string"}}}, [])
_STATUSES = ["working", "input_required", "completed", "failed", "cancelled"]

DEFINITIONS: Schema = {
    "Task": _object(
        {
            "taskId": {"type": "string"},
            "status": {"enum": _STATUSES},
            "statusMessage": {"type": "string"},
            "createdAt": {"type": "string", "format": "date-time"},
            "lastUpdatedAt": {"type": "string", "format": "date-time"},
            "ttlMs": {"type": ["integer", "null"]},
            "pollIntervalMs": {"type": "integer"},
        },
        ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs"],
    ),
    "DetailedTask": {
        "oneOf": [
            _state("working"),
            _state("input_required", inputRequests=_ref("InputRequests")),
            _state("completed", result={"type": "object"}),
            _state("failed", error=_ref("Error")),
            _state("cancelled"),
        ]
    },
    "CreateTaskResult": _all(
        _ref("Result"), _ref("Task"), _object({"resultType": {"const": "task"}})
    ),
    "GetTaskRequest": _request("tasks/get"),
    "GetTaskResult": _all(_ref("Result"), _ref("DetailedTask"), _COMPLETE),
    "UpdateTaskRequest": _request("tasks/update", inputResponses=_ref("InputResponses")),
    "UpdateTaskResult": _all(_ref("Result"), _COMPLETE),
    "CancelTaskRequest": _request("tasks/cancel"),
    "CancelTaskResult": _all(_ref("Result"), _COMPLETE),
    "TaskStatusNotification": _all(
        _ref("JSONRPCNotification"),
        _object(
            {
                "method": {"const": "notifications/tasks"},
                "params": _all(_ref("NotificationParams"), _ref("DetailedTask")),
            }
        ),
    )
    | {"properties": {"method": {"const": "notifications/tasks"}}},
    "TaskSubscriptionNotifications": _TASK_IDS,
    "TaskSubscriptionAcknowledgedNotifications": _TASK_IDS,
}
