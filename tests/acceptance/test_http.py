"""``serve --http``: the same server over Streamable HTTP, for this machine alone."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support.serving import GUARD, Setup, call, ended, read
from support.speaking import HANDSHAKES
from support.web import Stream, WebServer, client_of, elapsed, fetch, modern, request, session

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_MISMATCH = -32020


@pytest.fixture
def server(setup: Setup) -> Iterator[WebServer]:
    setup.settings["shutdown_timeout"] = 1
    with WebServer(setup.command) as running:
        yield running


def gated(setup: Setup, server: WebServer, headers: dict[str, str]) -> str:
    """A job at a closed gate."""
    arguments = {"gate": str(setup.gate("gate"))}
    called = request(1, "tools/call", name="gated", arguments=arguments)
    return fetch(server, called, headers=headers).message["result"]["structuredContent"]["job_id"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_job_from_call_to_result(setup: Setup, server: WebServer, mode: Any) -> None:
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)
        setup.gate("gate").touch()

    with anyio.fail_after(GUARD):
        async with client_of(server, mode) as client:
            handle = await call(client, "gated", gate=str(setup.gate("gate")))
            waited = await client.call_tool(
                "queue_wait_job", {"job_ids": [handle["job_id"]]}, progress_callback=note
            )
            assert waited.structured_content is not None
            [view] = waited.structured_content["jobs"]
            assert (view["status"], view["result"]) == ("completed", "passed")
            assert await read(client, f"queue://jobs/{handle['job_id']}") == view
    assert seen
    assert seen == sorted(set(seen))


async def test_a_job_in_memory_outlives_its_client_as_the_server_does(
    setup: Setup, server: WebServer
) -> None:
    with anyio.fail_after(GUARD):
        async with client_of(server) as client:
            job_id = (await call(client, "gated", gate=str(setup.gate("gate"))))["job_id"]
        setup.gate("gate").touch()
        async with client_of(server, "legacy") as client:
            assert (await ended(client, job_id))["status"] == "completed"


@pytest.mark.parametrize("version", HANDSHAKES)
def test_each_session_has_subscriptions_of_its_own(
    setup: Setup, server: WebServer, version: str
) -> None:
    leaver, stayer, ender = (session(server, version) for _ in range(3))
    job_id = gated(setup, server, stayer)
    uri = f"queue://jobs/{job_id}"
    streams = [Stream(server, method="GET", headers=headers) for headers in (leaver, stayer, ender)]
    for headers in (leaver, stayer, ender):
        fetch(server, request(2, "resources/subscribe", uri=uri), headers=headers)
    fetch(server, request(3, "resources/unsubscribe", uri=uri), headers=leaver)
    assert fetch(server, method="DELETE", headers=ender).status == 200
    assert fetch(server, request(4, "ping"), headers=ender).status == 404
    setup.gate("gate").touch()
    assert streams[1].event()["params"] == {"uri": uri}
    wait = request(5, "tools/call", name="queue_wait_job", arguments={"job_ids": [job_id]})
    assert "result" in fetch(server, wait, headers=leaver).message
    for stream in streams:
        stream.close()


def test_who_lost_the_connection_takes_the_stream_up_again(setup: Setup, server: WebServer) -> None:
    headers, others = session(server), session(server)
    job_id = gated(setup, server, headers)
    arguments = {"job_ids": [job_id], "timeout_seconds": GUARD}
    wait = request(7, "tools/call", name="queue_wait_job", arguments=arguments)
    wait["params"]["_meta"] = {"progressToken": "p"}
    lost = Stream(server, wait, headers=headers)
    assert lost.event()["params"]["progressToken"] == "p"
    lost.close()
    setup.gate("gate").touch()
    answered = again(server, headers, lost.last_event_id)
    while (told := answered.event()).get("id") != 7:
        assert told["params"]["progressToken"] == "p"
    answered.close()
    [job] = told["result"]["structuredContent"]["jobs"]
    assert job["status"] == "completed"
    # Another session has no such event.
    for headers_of, event in ((others, lost.last_event_id), (headers, "9999"), (headers, "x")):
        stream = again(server, headers_of, event)
        with pytest.raises(AssertionError, match="has ended"):
            stream.event()
        stream.close()


def again(server: WebServer, headers: dict[str, str], last_event_id: str) -> Stream:
    """A stream that is taken up again after an event."""
    last = {"Last-Event-ID": last_event_id}
    return Stream(server, method="GET", headers={**headers, **last})


def test_a_subscription_of_the_stateless_era(setup: Setup, server: WebServer) -> None:
    job_id = gated(setup, server, session(server))
    filters = {"resourceSubscriptions": [f"queue://jobs/{job_id}"], "taskIds": [job_id]}
    message, headers = modern("subscriptions/listen", notifications=filters)
    stream = Stream(server, message, headers=headers)
    assert stream.event()["method"] == "notifications/subscriptions/acknowledged"
    assert stream.event()["method"] == "notifications/tasks"
    setup.gate("gate").touch()
    told = stream.event()
    while told["params"].get("status") != "completed":
        told = stream.event()
    assert told["params"]["taskId"] == job_id
    stream.close()


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_the_header_names_the_task(setup: Setup, server: WebServer, method: str) -> None:
    job_id = gated(setup, server, session(server))
    answers = {"inputResponses": {}} if method == "tasks/update" else {}
    message, headers = modern(method, taskId=job_id, **answers)
    assert "result" in fetch(server, message, headers=headers).message
    wrong = fetch(server, message, headers={**headers, "Mcp-Name": "another"})
    assert (wrong.status, wrong.message["error"]["code"]) == (400, HEADER_MISMATCH)
    del headers["Mcp-Name"]
    missing = fetch(server, message, headers=headers)
    assert (missing.status, missing.message["error"]["code"]) == (400, HEADER_MISMATCH)


FOREIGN = [
    {"Origin": "http://evil.example.com"},
    {"Origin": "https://localhost.example.com"},
    {"Origin": "null"},
    {"Host": "evil.example.com"},
    {"Host": "evil.example.com:80", "Origin": "http://evil.example.com"},
]


def test_a_foreign_page_gets_nothing(server: WebServer) -> None:
    known = session(server)
    message, headers = modern("server/discover")
    for foreign in FOREIGN:
        refusal = 421 if "Host" in foreign else 403
        tried = [
            fetch(server, message, headers={**headers, **foreign}),
            fetch(server, request(1, "initialize"), headers=foreign),
            fetch(server, request(1, "tools/list"), headers={**known, **foreign}),
            fetch(server, method="GET", headers={**known, **foreign}),
            fetch(server, method="DELETE", headers={**known, **foreign}),
        ]
        assert [answer.status for answer in tried] == [refusal] * len(tried), foreign
        assert not any("mcp-session-id" in answer.headers for answer in tried)
        preflight = fetch(server, method="OPTIONS", headers=foreign)
        assert not any(name.startswith("access-control") for name in preflight.headers)
    assert fetch(server, request(1, "ping"), headers=known).message["result"] == {}


def test_there_is_nothing_beside_the_endpoint(server: WebServer) -> None:
    assert fetch(server, path="/", method="GET").status == 404


def serve(setup: Setup, address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*setup.command, "--http", address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0.0.0.0:8000", "only on loopback addresses"),
        ("192.0.2.1:8000", "only on loopback addresses"),
        ("[::]:8000", "only on loopback addresses"),
        ("example.com:8000", "only on loopback addresses"),
        ("127.0.0.1", "not HOST:PORT"),
        ("unix:", "not HOST:PORT"),
        ("127.0.0.1:http", "not HOST:PORT"),
        ("127.0.0.1:65536", "not HOST:PORT"),
        (":8000", "not HOST:PORT"),
        ("::1:8000", "needs brackets"),
    ],
)
def test_an_address_that_is_refused(setup: Setup, address: str, why: str) -> None:
    done = serve(setup, address)
    assert done.returncode == 1
    assert repr(address) in done.stderr
    assert why in done.stderr
    assert "Give " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(setup: Setup, server: WebServer) -> None:
    done = serve(setup, f"127.0.0.1:{server.port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "another program listens there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("address", "shown"),
    [("localhost:0", "http://127.0.0.1:"), ("127.0.0.2:0", "http://127.0.0.2:")],
)
def test_where_it_serves_is_said(setup: Setup, address: str, shown: str) -> None:
    with WebServer(setup.command, address) as server:
        assert server.url.startswith(shown)
        assert server.url.endswith("/mcp")
        host = shown.removeprefix("http://").removesuffix(":")
        assert server.listens() == [(host, server.port)]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(setup: Setup) -> None:
    with WebServer(setup.command, "[::1]:0") as server:
        assert server.url.startswith("http://[::1]:")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_streams_open(
    setup: Setup, server: WebServer, number: int, record_property: Any
) -> None:
    headers = session(server)
    job_id = gated(setup, server, headers)
    wait = {"name": "queue_wait_job", "arguments": {"job_ids": [job_id], "timeout_seconds": 600}}
    token = {"_meta": {"progressToken": 1}}
    stateless, envelope = modern("tools/call", **wait, **token)
    listen, names = modern("subscriptions/listen", notifications={"taskIds": [job_id]})
    open_streams = [
        Stream(server, method="GET", headers=headers),
        Stream(server, request(7, "tools/call", **wait, **token), headers=headers),
        Stream(server, stateless, headers=envelope),
        Stream(server, listen, headers=names),
    ]
    for stream in open_streams[1:]:
        assert "method" in stream.event()  # it is being served
    left = time.monotonic()
    server.send_signal(number)
    for stream in open_streams[1:3]:
        assert final(stream)["error"]["message"] == "The server has ended"
    assert final(open_streams[3])["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1
    assert server.wait() == 0
    record_property("seconds", elapsed(left))
    for stream in open_streams:
        stream.close()


def final(stream: Stream) -> dict[str, Any]:
    """The answer that comes last on a stream."""
    message = stream.event()
    while "method" in message:
        message = stream.event()
    return message


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_with_nohup_it_stays_when_its_terminal_closes(setup: Setup) -> None:
    message, headers = modern("server/discover")
    with WebServer(["nohup", *setup.command]) as server:
        server.send_signal(signal.SIGHUP)
        assert "result" in fetch(server, message, headers=headers).message
