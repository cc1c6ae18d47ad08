"""A server over HTTP, and requests that no well-behaved client would send."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from support.serving import ENVELOPE, GUARD, HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType

ACCEPT = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
PREFIX = "mcp-queue: serving on "
VARIABLE = "MCP_QUEUE_HTTP_TOKEN"


def bearer(token: str) -> dict[str, str]:
    """The header with a token."""
    return {"Authorization": f"Bearer {token}"}


class WebServer:
    """``serve --http`` as a process; a context manager that ends it with SIGTERM if it still runs.

    Its standard input is closed at once, which means nothing to it. Without ``hears``, its standard
    error is not read any more as soon as it serves. ``environ`` is added to its environment.
    ``raising``: commands whose tracebacks it may hold.
    """

    def __init__(
        self,
        command: Sequence[str],
        address: str = "127.0.0.1:0",
        *more: str,
        cwd: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
        hears: bool = True,
        raising: Iterable[str] = (),
    ) -> None:
        self._hears = hears
        self._expected = {f"{name!r} failed" for name in raising}
        self._process = subprocess.Popen(
            [*command, "--http", address, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
        )
        self._status = 0
        self._lines: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"stderr {self.pid}", daemon=True)
        self._reader.start()

    def __enter__(self) -> WebServer:
        if not self._ready.wait(GUARD) or not self.urls:
            self.end()
            raise AssertionError(f"the server does not serve:\n{self.stderr}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        status = self.end()
        if error is None:
            assert status == self._status, self.stderr
            tracebacks = set(re.findall(r"^(.*)\nTraceback", self.stderr, re.MULTILINE))
            assert tracebacks <= self._expected, self.stderr

    def expect(self, status: int) -> None:
        """The exit status that it is to end with, instead of 0."""
        self._status = status

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        return "".join(self._lines)

    @property
    def urls(self) -> list[str]:
        return [line.removeprefix(PREFIX).strip() for line in self._lines if PREFIX in line]

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def token_file(self) -> Path | None:
        """Where it says that its token is, if that is a file."""
        found = re.search(r"clients send the token of (.+) as 'Authorization", self.stderr)
        return Path(found[1]) if found and found[1] != VARIABLE else None

    @property
    def token(self) -> str:
        """Its token, read from the file by whoever is its user."""
        assert self.token_file, self.stderr
        return self.token_file.read_text("ascii")

    @property
    def authorization(self) -> dict[str, str]:
        """The header that lets a client in, if it asks for one that lies in a file."""
        return bearer(self.token) if self.token_file else {}

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    @property
    def socket_path(self) -> str | None:
        """Its Unix socket, if it has one."""
        found = re.search(r" at the Unix socket (.+)$", self.url)
        return found and found[1]

    def connection(self) -> http.client.HTTPConnection:
        """A new connection to it."""
        if self.socket_path is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=GUARD)
        connection = http.client.HTTPConnection("localhost", timeout=GUARD)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(GUARD)
        connection.sock.connect(self.socket_path)
        return connection

    def listens(self) -> list[tuple[str, int]]:
        """The addresses at which it listens."""
        connections = psutil.Process(self.pid).net_connections("tcp")
        return [
            (found.laddr.ip, found.laddr.port)
            for found in connections
            if found.status == psutil.CONN_LISTEN
        ]

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit status, once the process has ended."""
        return self._process.wait(GUARD)

    def end(self) -> int:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._reader.join(GUARD)
            assert self._process.stderr is not None
            self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.decode(errors="replace"))
            if PREFIX in self._lines[-1]:
                self._ready.set()
                if not self._hears:
                    return
        self._ready.set()


@dataclass
class Answer:
    """What came back for one HTTP request."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message, of a JSON body or the last event of a stream."""
        if not self.headers.get("content-type", "").startswith("text/event-stream"):
            return json.loads(self.body)
        data = [line for line in self.body.splitlines() if line.startswith("data:")]
        return json.loads(data[-1].removeprefix("data:"))


class Stream:
    """One HTTP request; its body can be read as it comes.

    The server's token goes with it unless ``knows`` is False.
    """

    def __init__(
        self,
        server: WebServer,
        message: object = None,
        method: str = "POST",
        path: str = "/mcp",
        headers: Mapping[str, str] | None = None,
        *,
        knows: bool = True,
    ) -> None:
        self._connection = server.connection()
        body = None if message is None else json.dumps(message)
        known = server.authorization if knows else {}
        given = {**ACCEPT, **known, **(headers or {})}
        self._connection.request(method, path, body, given)
        self._response = self._connection.getresponse()
        self.last_event_id = ""

    @property
    def status(self) -> int:
        return self._response.status

    def event(self) -> dict[str, Any]:
        """The message of the next event; an event without one only begins a stream."""
        while line := self._response.readline():
            if line.startswith(b"id:"):
                self.last_event_id = line.removeprefix(b"id:").strip().decode()
            data = line.removeprefix(b"data:").strip()
            if data and line.startswith(b"data:"):
                return json.loads(data)
        raise AssertionError("the stream has ended")

    def answer(self) -> Answer:
        """The whole of it."""
        headers = {name.lower(): value for name, value in self._response.getheaders()}
        try:
            return Answer(self.status, headers, self._response.read().decode())
        finally:
            self.close()

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def fetch(server: WebServer, message: object = None, **options: Any) -> Answer:
    """The answer to one request."""
    return Stream(server, message, **options).answer()


@asynccontextmanager
async def client_of(
    server: WebServer, mode: Any = "auto", headers: Mapping[str, str] | None = None
) -> AsyncIterator[Client]:
    """The official client, with the server's token unless it is given other headers."""
    given = server.authorization if headers is None else dict(headers)
    async with (
        create_mcp_http_client(headers=given) as http_client,
        Client(streamable_http_client(server.url, http_client=http_client), mode=mode) as client,
    ):
        yield client


def modern(method: str, **params: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A request of 2026-07-28 and its headers."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {**params, "_meta": {**ENVELOPE, **params.get("_meta", {})}},
    }
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    name = next((params[key] for key in ("name", "uri", "taskId") if key in params), None)
    if name is not None:
        headers["Mcp-Name"] = name
    return message, headers


def request(number: int, method: str, **params: Any) -> dict[str, Any]:
    """A request of the handshake era."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def session(server: WebServer, version: str = "2025-11-25") -> dict[str, str]:
    """The headers of a new session, past its handshake."""
    begun = fetch(server, request(0, "initialize", **{**HANDSHAKE, "protocolVersion": version}))
    assert begun.message["result"]["protocolVersion"] == version
    headers = {
        "Mcp-Session-Id": begun.headers["mcp-session-id"],
        "MCP-Protocol-Version": version,
    }
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert fetch(server, initialized, headers=headers).status == 202
    return headers


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def elapsed(since: float) -> float:
    """Seconds since then, to be recorded."""
    return round(time.monotonic() - since, 3)
