"""A scripted language model on loopback, in the dialects of the hosts.

It keeps every request that it gets and answers each with the next step of its script: a call of a
tool, or a text. Requests of a host for itself (titles, summaries), which offer no tool of ours, get
a text and use up no step.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GUARD = 60.0  # seconds
TURNS = ("messages", "input", "contents")
"""Where a request has what was said so far."""
TOOL = "queue"
"""What the names of our tools contain, as the hosts spell them."""


@dataclass(frozen=True)
class Call:
    """The model calls a tool, by its name at the server."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request for an answer, and the wall clock when all of it had arrived."""

    at: float
    body: dict[str, Any]

    @property
    def news(self) -> list[dict[str, Any]]:
        """What came after the model's last words."""
        turns = next(self.body[name] for name in TURNS if name in self.body)
        mine = [n for n, turn in enumerate(turns) if _is_mine(turn)]
        return turns[mine[-1] + 1 :] if mine else turns

    @property
    def text(self) -> str:
        return json.dumps(self.news, ensure_ascii=False)


Step = Call | str | Callable[[Asked], Call]
"""What the model answers; a function looks at what it was shown first."""


def _is_mine(turn: dict[str, Any]) -> bool:
    return turn.get("role") in ("assistant", "model") or turn.get("type") == "function_call"


@dataclass
class Model:
    """The requests so far, and the steps to come."""

    asked: list[Asked] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    calls: int = 0
    early: int = 0
    """Requests that offered tools, but not yet ours."""

    def script(self, *steps: Step) -> None:
        with self.news:
            self.steps.extend(steps)

    def step(self, body: dict[str, Any]) -> tuple[Call | str, str]:
        """What to answer, and the id of the call if it is one."""
        at = time.time()
        names = [tool.get("name", "") for tool in _tools(body)]
        with self.news:
            if not any(TOOL in name for name in names):
                self.early += bool(names)
                self.news.notify_all()
                return "Not yet.", ""
            self.asked.append(Asked(at, body))
            self.news.notify_all()
            self.calls += 1
            step = self.steps.pop(0) if self.steps else "Noted."
            if isinstance(step, str):
                return step, ""
            call = step if isinstance(step, Call) else step(self.asked[-1])
            [name] = [name for name in names if name.endswith(call.tool)]
            return Call(name, call.arguments), f"call_{self.calls:04}"

    def has_tools(self, early: int) -> bool:
        """Wait for a request; whether it offers our tools, else more than ``early`` came early."""
        with self.news:
            arrived = self.news.wait_for(lambda: self.asked or self.early > early, GUARD)
            assert arrived, "the model was asked for nothing"
            return bool(self.asked)

    def wait_for(self, text: str, since: int = 0, timeout: float = GUARD) -> Asked:
        """The first request, past the first ``since``, that brings ``text`` to the model."""
        deadline = time.monotonic() + timeout
        with self.news:
            while True:
                for asked in self.asked[since:]:
                    if text in asked.text:
                        return asked
                if not self.news.wait(deadline - time.monotonic()):
                    shown = [asked.text[-500:] for asked in self.asked]
                    raise AssertionError(f"the model was not shown {text!r}: {shown}")


def _tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools that a request offers, those inside of namespaces too."""
    found = []
    for tool in body.get("tools") or []:
        inner = tool.get("function")
        found += tool.get("functionDeclarations") or []
        if tool.get("type") == "namespace":  # Codex's tools of one server
            spelled = tool["name"] + "/{}"
            found += [{**each, "name": spelled.format(each["name"])} for each in tool["tools"]]
        else:
            found.append(inner if isinstance(inner, dict) else tool)
    return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_HEAD(self) -> None:
        self._send(200, "text/plain", b"")

    def do_GET(self) -> None:
        self._send(200, "application/json", b'{"data": [], "models": []}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self._send(200, "application/json", b'{"input_tokens": 1}')
            return
        dialect = _DIALECTS.get(re.split("[/:]", path)[-1])
        if dialect is None:
            self._send(200, "application/json", b"{}")
            return
        step, call_id = self.model.step(body)
        lines = []
        for name, data in dialect(step, call_id, body.get("model", "scripted")):
            lines += [f"event: {name}\n" if name else "", f"data: {data}\n\n"]
        self._send(200, "text/event-stream", "".join(lines).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


Events = Iterator[tuple[str, str]]


def _typed(kind: str, **data: Any) -> tuple[str, str]:
    return kind, json.dumps({"type": kind, **data})


def _anthropic(step: Call | str, call_id: str, model: str) -> Events:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield _typed("message_start", message=message)
    if isinstance(step, Call):
        block = {"type": "tool_use", "id": f"toolu_{call_id}", "name": step.tool, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(step.arguments)}
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": step}
    yield _typed("content_block_start", index=0, content_block=block)
    yield _typed("content_block_delta", index=0, delta=delta)
    yield _typed("content_block_stop", index=0)
    reason = "tool_use" if isinstance(step, Call) else "end_turn"
    ended = {"stop_reason": reason, "stop_sequence": None}
    yield _typed("message_delta", delta=ended, usage=usage)
    yield _typed("message_stop")


def _responses(step: Call | str, call_id: str, model: str) -> Events:
    yield _typed("response.created", response={"id": "resp_1"})
    if isinstance(step, Call):
        item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id}
        namespace, _, name = step.tool.rpartition("/")
        item |= {"name": name, "arguments": json.dumps(step.arguments)}
        if namespace:
            item["namespace"] = namespace
    else:
        item = {"type": "message", "role": "assistant", "id": "msg_1"}
        item |= {"content": [{"type": "output_text", "text": step}]}
    yield _typed("response.output_item.done", item=item)
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    usage |= {"input_tokens_details": None, "output_tokens_details": None}
    yield _typed("response.completed", response={"id": "resp_1", "usage": usage})


def _completions(step: Call | str, call_id: str, model: str) -> Events:
    frame = {"id": "chat_1", "object": "chat.completion.chunk", "created": 0, "model": model}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> tuple[str, str]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return "", json.dumps({**frame, "choices": [choice]})

    if isinstance(step, Call):
        function = {"name": step.tool, "arguments": json.dumps(step.arguments)}
        call = {"index": 0, "id": call_id, "type": "function", "function": function}
        yield chunk({"role": "assistant", "tool_calls": [call]})
        yield chunk({}, "tool_calls")
    else:
        yield chunk({"role": "assistant", "content": step})
        yield chunk({}, "stop")
    yield "", "[DONE]"


def _gemini(step: Call | str, call_id: str, model: str) -> Events:
    if isinstance(step, Call):
        part = {"functionCall": {"id": call_id, "name": step.tool, "args": step.arguments}}
    else:
        part = {"text": step}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    yield "", json.dumps({"candidates": [candidate], "usageMetadata": usage})


_DIALECTS = {
    "messages": _anthropic,
    "responses": _responses,
    "completions": _completions,
    "streamGenerateContent": _gemini,
}
"""By the last word of a request's path."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A host that is ended drops its connections."""


class Serving:
    """A model that answers at ``url`` within the context."""

    def __init__(self) -> None:
        self.model = Model()
        handler = type("Handler", (_Handler,), {"model": self.model})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Serving:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
