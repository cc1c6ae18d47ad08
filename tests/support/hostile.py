"""What no well-behaved client writes: strategies for lines to a server, and what each is due.

Random values alone never get past the first check, so most lines are messages that are right but
for one thing: a type, a name, an id, a version, a cursor, a job that is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hypothesis import strategies
from hypothesis.strategies import SearchStrategy

from support.schemas import MODERN
from support.serving import ENVELOPE
from support.wire import META_PREFIX, VERSION_KEY

Message = dict[str, Any]
Values = SearchStrategy[Any]


QUESTIONS = ["a1.q1.name", "a1.q1.colour"]  # keys of what `asks_many` asks first
BATCHES = "2025-03-26"  # the era that has them


class Due(Enum):
    """What a line must be answered with."""

    ANSWER = "one answer with its id"
    ERROR = "one error, with its id or without any"
    NOTHING = "nothing"
    STREAM = "an error, or a stream until it is cancelled"


@dataclass(frozen=True, repr=False)
class Line:
    """A line to write: a message whose id is chosen when it is written, or bytes as they are."""

    due: Due
    message: Message | None = None
    data: bytes = b""
    id_kind: str | None = None
    count: int = 1  # errors that are due, if any is

    def __repr__(self) -> str:
        return f"<{self.due.value}: {self.bytes(0)[:300]!r}>"

    def bytes(self, number: int) -> bytes:
        """The line without its end; ``number`` makes the id unique."""
        if self.message is None:
            return self.data
        with_id = {} if self.id_kind is None else {"id": self.request_id(number)}
        return json.dumps({"jsonrpc": "2.0", **with_id, **self.message}).encode()

    def request_id(self, number: int) -> Any:
        """The id of the message."""
        return ID_KINDS[self.id_kind or "text"](number)


ID_KINDS: dict[str, Any] = {
    "text": lambda n: f"sent-{n}",
    "number": lambda n: n,
    "negative": lambda n: -n,
    "huge": lambda n: 10**40 + n,
    "long": lambda n: f"{n}-" + "x" * 10_240,
    "odd": lambda n: f"\0\u202e\n\U0001f4a5 {n}",
    "digits": lambda n: f"{10**9 + n}",
}

NAMES = [
    "../../etc/passwd", "..", ".", "", "%2e%2e%2fetc%2fpasswd", "a\\..\\b", "nul\0byte", "a\nb",
    "x" * 10_240, "\u202egnp.exe", "\U0001f4a5", "' OR 1=1 --", "CON", "null", "0", "${HOME}",
]  # fmt: skip
NUMBERS = [0, -1, 2**31, 2**63, 2**64, 10**40, -(10**40), 1e308, 5e-324, 0.1]
CURSORS = ["before-0", "before--1", "before-999999999999999999", "before-1;", "9" * 5000, "MA=="]
URIS = [
    "queue://", "queue://jobs/", "queue://jobs//logs", "queue://jobs/a/logs/x", "queue://health/x",
    "queue://jobs/%00", "queue://jobs/a/artifacts/../../x", "file:///etc/passwd", "queue://jobs?x=1",
]  # fmt: skip
TOOLS = [
    "add", "queue_add_job", "queue_start_job", "queue_stop_job", "queue_get_job_status",
    "queue_get_job_logs", "queue_list_jobs", "queue_health", "queue_answer_job",
]  # fmt: skip
KEYS = [
    "a", "b", "job_id", "job_ids", "limit", "cursor", "command", "params", "status", "stream",
    "tail", "since", "contains", "mode", "answers",
]  # fmt: skip
METHODS = [
    "ping", "tools/list", "tools/call", "resources/list", "resources/read", "prompts/list",
    "resources/templates/list", "prompts/get", "completion/complete", "logging/setLevel",
    "server/discover", "tasks/get", "tasks/update", "tasks/cancel", "tasks/list", "tasks/result",
    "sampling/createMessage", "elicitation/create", "notifications/initialized", "rpc.discover",
]  # fmt: skip
VERSIONS = ["1999-01-01", "2025-11-25", "2099-01-01", "", "x" * 10_240, 20260728, None, {}]


def deep(depth: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


JSON: Values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.sampled_from(NUMBERS)
    | strategies.text(max_size=12)
    | strategies.sampled_from(NAMES)
    | strategies.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
IDS = strategies.sampled_from(list(ID_KINDS))
ANSWERS = strategies.fixed_dictionaries({"action": JSON}, optional={"content": JSON})
SHOWS_FORMS = {
    **ENVELOPE,
    f"{META_PREFIX}clientCapabilities": {
        "elicitation": {"form": {}},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
    },
}


def lines(era: str, jobs: list[str], cursor: str) -> SearchStrategy[Line]:
    """Hostile lines of an era; the first of ``jobs`` has ended, ``cursor`` is one of its log.

    The others ask `QUESTIONS`.
    """
    return strategies.one_of(
        no_json(),
        strategies.sampled_from(_BROKEN).map(lambda data: Line(Due.ERROR, data=data)),
        no_message(),
        batches(era),
        notifications(),
        requests(era, jobs, cursor),
        requests(era, jobs, cursor),
        *([envelopes(), streams(jobs)] if era == MODERN else [foreign(), greetings()]),
    )


_BROKEN = [
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\0",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    b"{}{}",
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping"',
    b'{"jsonrpc": "2.0", "id": ' + b"9" * 10_000 + b', "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": null, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": true, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}',
    b'{"jsonrpc": "1.0", "id": 3, "method": "ping"}',
    b'{"jsonrpc": 2.0, "id": 3, "method": "ping"}',
    b'{"id": 3, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": 3, "method": null}',
    b'{"jsonrpc": "2.0", "id": 3, "method": ["ping"]}',
    b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": [1]}',
    b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": "x"}',
    b'{"jsonrpc": "2.0", "id": 3}',
    b"[]",
    b"null",
]


def no_json() -> SearchStrategy[Line]:
    """Bytes that are no JSON at all."""
    data = strategies.binary(min_size=1, max_size=60).filter(_is_no_json)
    return data.map(lambda data: Line(Due.ERROR, data=data))


def _is_no_json(data: bytes) -> bool:
    if b"\n" in data or not data.strip():
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return True
    return False


def no_message() -> SearchStrategy[Line]:
    """JSON that is no message of JSON-RPC."""
    members = strategies.sampled_from(["jsonrpc", "result", "x", "params", "method"])
    objects = strategies.dictionaries(members, JSON, max_size=3)
    values = JSON.filter(lambda value: not isinstance(value, dict | list)) | objects.filter(
        lambda value: value.get("jsonrpc") != "2.0"
    )
    return values.map(lambda value: Line(Due.ERROR, data=json.dumps(value).encode()))


def batches(era: str) -> SearchStrategy[Line]:
    """Arrays of what is no message; where there are batches, each part has an error."""
    return strategies.lists(JSON, max_size=4).map(
        lambda values: Line(
            Due.ERROR,
            data=json.dumps(values).encode(),
            count=max(1, len(values)) if era == BATCHES else 1,
        )
    )


def notifications() -> SearchStrategy[Line]:
    """Notifications and answers that nobody waits for."""
    ids = JSON | strategies.sampled_from([0, "0", -1, "no such request"])
    cancelled = ids.map(lambda id_: {"requestId": id_})
    names = ["notifications/cancelled", "notifications/progress", "notifications/initialized",
             "notifications/roots/list_changed", "notifications/tasks", "no/such"]  # fmt: skip
    notification = strategies.fixed_dictionaries(
        {"method": strategies.sampled_from(names)},
        optional={"params": cancelled | strategies.dictionaries(strategies.text(), JSON)},
    )
    result = strategies.fixed_dictionaries(
        {"result": strategies.dictionaries(strategies.text(max_size=4), JSON, max_size=2)}
    )
    return notification.map(lambda message: Line(Due.NOTHING, message)) | strategies.builds(
        lambda message, id_kind: Line(Due.NOTHING, message, id_kind=id_kind), result, IDS
    )


def requests(era: str, jobs: list[str], cursor: str) -> SearchStrategy[Line]:
    """Requests of the era with params that are wrong, or strange."""
    names = strategies.sampled_from([*jobs, *NAMES]) | strategies.text(max_size=8)
    asked = [*QUESTIONS, *(f"{job}/{key}" for job in jobs for key in QUESTIONS)]
    keys = names | strategies.sampled_from(asked)
    answers = _params(
        name=strategies.just("queue_answer_job"),
        arguments=_params(
            job_id=strategies.sampled_from(jobs), content=JSON, key=keys | JSON, action=JSON
        ),
    )
    values = JSON | names | strategies.sampled_from(CURSORS) | mutated(cursor)
    arguments = JSON | strategies.dictionaries(strategies.sampled_from(KEYS), values, max_size=4)
    calls = _params(name=strategies.sampled_from(TOOLS) | names, arguments=arguments)
    waits = _params(
        name=strategies.just("queue_wait_job"),
        arguments=_params(job_ids=JSON | names, timeout_seconds=strategies.sampled_from([0, -1])),
    )
    logs = _params(
        name=strategies.just("queue_get_job_logs"),
        arguments=_params(job_id=strategies.just(jobs[0]), since=values),
    )
    again = _params(
        name=strategies.sampled_from(["queue_wait_job", "add"]),
        arguments=_params(job_ids=strategies.sampled_from(jobs)) | JSON,
        inputResponses=JSON | strategies.dictionaries(keys, JSON | ANSWERS, max_size=3),
        requestState=JSON | names,
    )
    resources = strategies.sampled_from(["resources/read", "resources/unsubscribe"])
    uris = values | strategies.sampled_from(URIS) | names.map("queue://jobs/{}".format)
    tasks = _params(
        taskId=names | JSON,
        inputResponses=JSON | strategies.dictionaries(keys, JSON | ANSWERS, max_size=3),
    )
    lists = strategies.sampled_from(["resources/list", "tools/list", "prompts/list"])
    any_method = strategies.sampled_from(METHODS) | strategies.text(max_size=12)
    anything = strategies.dictionaries(strategies.text(max_size=8), JSON, max_size=3)
    return strategies.one_of(
        _requests(era, strategies.just("tools/call"), calls | waits | logs | again | answers),
        _requests(era, resources, _params(uri=uris)),
        _requests(era, strategies.sampled_from(["tasks/get", "tasks/update"]), tasks),
        _requests(era, lists, _params(cursor=values)),
        _requests(era, any_method, anything),
    )


def _params(**parts: Values) -> Values:
    return strategies.fixed_dictionaries(parts)


def _requests(era: str, methods: SearchStrategy[str], params: Values) -> SearchStrategy[Line]:
    metas = strategies.fixed_dictionaries(
        {}, optional={"progressToken": JSON, "x": JSON, "traceparent": JSON}
    )

    def build(method: str, given: Any, meta: Message, id_kind: str) -> Line:
        if era == MODERN:
            meta = {**meta, **SHOWS_FORMS}
        if isinstance(given, dict) and meta:
            given = {**given, "_meta": meta}
        return Line(Due.ANSWER, {"method": method, "params": given}, id_kind=id_kind)

    return strategies.builds(build, methods, params, metas, IDS)


@strategies.composite
def mutated(draw: strategies.DrawFn, text: str) -> str:
    """``text`` with one character changed, left out or doubled."""
    position = draw(strategies.integers(0, max(0, len(text) - 1)))
    middle = draw(strategies.text(max_size=2))
    return text[:position] + middle + text[position + 1 :]


def envelopes() -> SearchStrategy[Line]:
    """Requests of 2026-07-28 whose ``_meta`` is wrong."""
    versions = strategies.sampled_from(VERSIONS).map(lambda version: {VERSION_KEY: version})
    capabilities = JSON.map(lambda value: {f"{META_PREFIX}clientCapabilities": value})
    clients = JSON.map(lambda value: {f"{META_PREFIX}clientInfo": value})
    levels = JSON.map(lambda value: {f"{META_PREFIX}logLevel": value})
    changed = (versions | capabilities | clients | levels).map(lambda part: {**ENVELOPE, **part})
    missing = strategies.sampled_from(list(ENVELOPE)).map(
        lambda name: {key: value for key, value in ENVELOPE.items() if key != name}
    )
    methods = strategies.sampled_from(["tools/list", "server/discover", "tasks/get"])
    handshakes = strategies.sampled_from([version for version in VERSIONS if version != {}]).map(
        lambda version: {"protocolVersion": str(version), "capabilities": {}}
    )
    return strategies.builds(
        lambda params, id_kind: Line(
            Due.ANSWER, {"method": "initialize", "params": params}, id_kind=id_kind
        ),
        handshakes,
        IDS,
    ) | strategies.builds(
        lambda method, meta, id_kind: Line(
            Due.ANSWER, {"method": method, "params": {"_meta": meta}}, id_kind=id_kind
        ),
        methods,
        changed | missing | JSON,
        IDS,
    )


def streams(jobs: list[str]) -> SearchStrategy[Line]:
    """Subscriptions of 2026-07-28 to what cannot be, or is no job."""
    uris = strategies.lists(strategies.sampled_from([*URIS, "queue://jobs", *NAMES]), max_size=3)
    ids = strategies.lists(strategies.sampled_from([*jobs, *NAMES]), max_size=3)
    asked = JSON | strategies.fixed_dictionaries(
        {}, optional={"resourceSubscriptions": uris | JSON, "taskIds": ids | JSON, "x": JSON}
    )
    return strategies.builds(
        lambda notifications, id_kind: Line(
            Due.STREAM,
            {
                "method": "subscriptions/listen",
                "params": {"notifications": notifications, "_meta": ENVELOPE},
            },
            id_kind=id_kind,
        ),
        asked,
        IDS,
    )


def foreign() -> SearchStrategy[Line]:
    """Requests of 2026-07-28 in the era of the handshake."""
    metas = strategies.just(ENVELOPE) | JSON.map(lambda value: {VERSION_KEY: value})
    methods = strategies.sampled_from(["tools/list", "server/discover", "subscriptions/listen"])
    return strategies.builds(
        lambda method, meta, id_kind: Line(
            Due.ANSWER, {"method": method, "params": {"_meta": meta}}, id_kind=id_kind
        ),
        methods,
        metas,
        IDS,
    )


def greetings() -> SearchStrategy[Line]:
    """A second handshake that is none."""
    params = strategies.fixed_dictionaries(
        {"protocolVersion": strategies.integers() | strategies.none()},
        optional={"capabilities": JSON, "clientInfo": JSON},
    )
    return strategies.builds(
        lambda params, id_kind: Line(
            Due.ANSWER, {"method": "initialize", "params": params}, id_kind=id_kind
        ),
        params,
        IDS,
    )
