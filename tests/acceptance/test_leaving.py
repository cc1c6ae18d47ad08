"""A server leaves when its client does, however it does, and in time."""

from __future__ import annotations

import array
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from mcp_queue.system.identity import identity_of
from mcp_queue.system.watch import watch
from support.rawclient import RawClient
from support.serving import GUARD, HANDSHAKE, Setup

if sys.platform == "win32":
    pytest.skip("signals and pipes of POSIX", allow_module_level=True)
import fcntl
import termios


def begin(client: RawClient) -> None:
    client.request("initialize", HANDSHAKE)
    client.notify("notifications/initialized")


def wait_for_gate(client: RawClient, setup: Setup, waits: int) -> str:
    """A job at a closed gate and so many open waits for it."""
    handle = client.request(
        "tools/call", {"name": "gated", "arguments": {"gate": str(setup.gate("never"))}}
    )
    job_id = handle["result"]["structuredContent"]["job_id"]
    for number in range(waits):
        client.post(
            "tools/call",
            {
                "name": "queue_wait_job",
                "arguments": {"job_ids": [job_id], "timeout_seconds": 600},
                "_meta": {"progressToken": f"wait-{number}"},
            },
        )
    client.wait_for(lambda received: received.method == "notifications/progress")
    return job_id


def test_end_of_input_with_forty_waits(setup: Setup, record_property: Any) -> None:
    setup.settings["shutdown_timeout"] = 1
    with RawClient(setup.command) as client:
        begin(client)
        wait_for_gate(client, setup, 40)
        left = time.monotonic()
        client.close_stdin()
        assert client.wait() == 0
        record_property("seconds", round(time.monotonic() - left, 3))
    assert "Traceback" not in client.stderr


def test_a_client_that_stops_reading(setup: Setup, record_property: Any) -> None:
    """The server's answers fill the pipe, and the client closes its end of the input."""
    server = subprocess.Popen(setup.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        request = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HANDSHAKE}
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.flush()
        assert b"protocolVersion" in server.stdout.readline()
        uri = {"uri": "queue://commands"}
        for number in range(100):
            read = {"jsonrpc": "2.0", "id": number, "method": "resources/read", "params": uri}
            server.stdin.write(json.dumps(read).encode() + b"\n")
        server.stdin.flush()
        wait_until_full(server.stdout.fileno())
        left = time.monotonic()
        server.stdin.close()
        assert server.wait(GUARD) == 0
        record_property("seconds", round(time.monotonic() - left, 3))
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


def wait_until_full(pipe: int) -> None:
    """Return once what stands unread in the pipe does not grow any more: its writer is stuck."""
    unread = array.array("i", [0])
    before = -1
    while unread[0] < 4096 or unread[0] != before:
        before = unread[0]
        select.select([], [], [], 0.1)
        fcntl.ioctl(pipe, termios.FIONREAD, unread)


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGTERM] * 5]
)
def test_a_signal(setup: Setup, signals: list[signal.Signals], record_property: Any) -> None:
    setup.settings["shutdown_timeout"] = 1
    with RawClient(setup.command) as client:
        begin(client)
        wait_for_gate(client, setup, 3)
        left = time.monotonic()
        for number in signals:
            client.send_signal(number)
        assert client.wait() == 0
        record_property("seconds", round(time.monotonic() - left, 3))
    assert "Traceback" not in client.stderr


def test_a_parent_that_is_gone(setup: Setup, record_property: Any) -> None:
    """The parent dies while another process still holds both of the server's pipes open."""
    code = (
        "import subprocess, sys\n"
        "server = subprocess.Popen(sys.argv[1:])\n"
        "print(server.pid, file=sys.stderr, flush=True)\n"
        "server.wait()"
    )
    input_read, input_held = os.pipe()
    output_held, output_written = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *setup.command],
        stdin=input_read,
        stdout=output_written,
        stderr=subprocess.PIPE,
    )
    assert parent.stderr is not None
    try:
        identity = identity_of(int(parent.stderr.readline()))
        assert identity is not None
        server = watch(identity)
        assert server is not None
        os.write(input_held, b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert b'"id":1' in os.read(output_held, 65536)
        left = time.monotonic()
        parent.kill()
        parent.wait()
        assert select.select([server], [], [], GUARD)[0], "the server is still there"
        server.close()
        record_property("seconds", round(time.monotonic() - left, 3))
    finally:
        parent.kill()
        parent.wait()
        parent.stderr.close()
        for descriptor in (input_read, input_held, output_held, output_written):
            os.close(descriptor)
