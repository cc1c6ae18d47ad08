"""The JSON schemas of each era of the protocol, and of the tasks extension.

A message is checked against what its era says of its kind: a request by its method, a result by
the method of its request, a notification, an error. An era before 2025-11-25 is that one's schema
without what came later (`_LATER`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from support import needs, pypi, tasks_schema

Message = Mapping[str, Any]

HANDSHAKE_ERAS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
ERAS = (*HANDSHAKE_ERAS, MODERN)
TASKS = "tasks"  # the extension, which only the modern era has

_ERROR = "JSONRPCErrorResponse"
_RESULT = "JSONRPCResultResponse"
_LATER = {
    "2025-03-26": {"AudioContent"},
    "2025-06-18": {"ResourceLink", "ElicitRequest", "ElicitResult"},
    "2025-11-25": {"ElicitRequestURLParams", "ElicitationCompleteNotification"}
    | {"GetTaskRequest", "GetTaskPayloadRequest", "ListTasksRequest", "CancelTaskRequest"}
    | {"GetTaskResult", "GetTaskPayloadResult", "ListTasksResult", "CancelTaskResult"}
    | {"TaskStatusNotification", "CreateTaskResult"},
}
"""What each era brought and an earlier one must not show."""
_SPECIFIC_ERRORS = {
    -32021: "MissingRequiredClientCapabilityError",
    -32022: "UnsupportedProtocolVersionError",
}


def check_request(era: str, message: Message) -> None:
    """Raise unless ``message`` is a request that a client may send."""
    _check(era, "JSONRPCRequest", message)
    source, name = _named(era, "Request", message["method"])
    _check(source, name, message)
    if message["method"] == "subscriptions/listen":
        asked = message["params"]["notifications"]
        _check(TASKS, "TaskSubscriptionNotifications", asked)


def check_sent_notification(era: str, message: Message) -> None:
    """Raise unless ``message`` is a notification that a client may send."""
    _check(era, "JSONRPCNotification", message)
    _check(era, "ClientNotification", message)


def check_notification(era: str, message: Message) -> None:
    """Raise unless ``message`` is a notification that a server may send."""
    _check(era, "JSONRPCNotification", message)
    if message["method"] == "notifications/tasks" and era == MODERN:
        _check(TASKS, "TaskStatusNotification", message)
        return
    _check(era, "ServerNotification", message)
    _check(*_named(era, "Notification", message["method"]), message)
    if message["method"] == "notifications/subscriptions/acknowledged":
        honoured = message["params"]["notifications"]
        _check(TASKS, "TaskSubscriptionAcknowledgedNotifications", honoured)


def check_server_request(era: str, message: Message) -> None:
    """Raise unless ``message`` is a request that a server may send."""
    assert era != MODERN, f"a request of the server in {era}: {message}"
    _check(era, "JSONRPCRequest", message)
    _check(era, "ServerRequest", message)


def check_sent_answer(era: str, message: Message, method: str) -> None:
    """Raise unless ``message`` answers the server's request of that method."""
    _check(era, _ERROR if "error" in message else _RESULT, message)
    if "result" in message:
        _check(era, "ClientResult", message["result"])
        _check(*_result(era, method), message["result"])


def check_error(era: str, message: Message) -> None:
    """Raise unless ``message`` is an error that a server may answer with.

    JSON-RPC wants a null id where none could be read; the schemas know it absent at most.
    """
    if message.get("id", "") is None:
        message = {key: value for key, value in message.items() if key != "id"}
        message = message if era >= "2025-11-25" else {**message, "id": 0}
    _check(era, _ERROR, message)
    code = message["error"]["code"]
    if era == MODERN and code in _SPECIFIC_ERRORS:
        _check(era, _SPECIFIC_ERRORS[code], message)


def check_answer(era: str, message: Message, method: str) -> None:
    """Raise unless ``message`` answers a client's request of that method."""
    if "error" in message:
        check_error(era, message)
    else:
        _check(era, _RESULT, message)
        check_result(era, message["result"], method)


def check_result(era: str, result: Message, method: str) -> None:
    """Raise unless ``result`` is what a request of that method may be answered with."""
    kind = result.get("resultType")
    if era == MODERN and kind == "task":
        assert method == "tools/call", f"{method} cannot become a task"
        _check(TASKS, "CreateTaskResult", result)
    elif era == MODERN and kind == "input_required":
        _check(era, "InputRequiredResult", result)
    else:
        _check(*_result(era, method), result)


def _check(source: str, name: str, value: Any) -> None:
    needs.check_declared("schemas")
    errors = sorted(_validator(source, name).iter_errors(value), key=lambda error: error.path)
    if errors:
        told = "; ".join(f"{error.json_path}: {error.message[:500]}" for error in errors)
        raise AssertionError(f"no {name} of {source}: {told}\n{json.dumps(value)[:2000]}")


@cache
def _validator(source: str, name: str) -> Validator:
    schema = _schema(source)
    one = {"$schema": schema["$schema"], "$defs": schema["$defs"], "$ref": f"#/$defs/{name}"}
    return validator_for(one)(one)


@cache
def _schema(source: str) -> dict[str, Any]:
    if source == TASKS:
        modern = _schema(MODERN)
        return modern | {"$defs": modern["$defs"] | tasks_schema.DEFINITIONS}
    era = source if source == MODERN else HANDSHAKE_ERAS[-1]
    file = needs.given("schemas", pypi.schema(era))
    schema = json.loads(file.read_text("utf-8"))
    return _without(schema, {name for since in _LATER if since > source for name in _LATER[since]})


def _without(schema: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """``schema`` without these definitions and without them as an alternative."""
    kept = copy.deepcopy(schema)
    for name in names:
        del kept["$defs"][name]
    _prune(kept, {f"#/$defs/{name}" for name in names})
    return kept


def _prune(node: object, references: set[str]) -> None:
    if isinstance(node, list):
        for each in cast("list[object]", node):
            _prune(each, references)
    elif isinstance(node, dict):
        branch = cast("dict[str, Any]", node)
        match branch.get("anyOf"):
            case [*choices]:
                branch["anyOf"] = [one for one in choices if one.get("$ref") not in references]
            case _:
                pass
        for each in branch.values():
            _prune(each, references)


def _definitions(source: str) -> Mapping[str, Any]:
    return tasks_schema.DEFINITIONS if source == TASKS else _schema(source)["$defs"]


def _sources(era: str) -> tuple[str, ...]:
    return (era, TASKS) if era == MODERN else (era,)


@cache
def _named(era: str, kind: str, method: str) -> tuple[str, str]:
    """The definition of that method, and where it stands."""
    for source in _sources(era):
        for name, definition in _definitions(source).items():
            if name.endswith(kind) and method in _methods(definition):
                return source, name
    raise AssertionError(f"{method} does not exist in {era}")


def _methods(definition: Mapping[str, Any]) -> Iterator[str]:
    for part in (definition, *definition.get("allOf", ())):
        method = part.get("properties", {}).get("method", {})
        if "const" in method:
            yield method["const"]


@cache
def _result(era: str, method: str) -> tuple[str, str]:
    """The definition of the result; without one of its own it is the empty one."""
    source, request = _named(era, "Request", method)
    name = request.removesuffix("Request") + "Result"
    return (source, name) if name in _definitions(source) else (era, "EmptyResult")
