"""A server leaves when its client does, however it does, and in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from support.rawclient import RawClient
from support.serving import HANDSHAKE, Setup

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")


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
    with RawClient(setup.command, reading=False) as client:
        client.post("initialize", HANDSHAKE)
        client.notify("notifications/initialized")
        for _ in range(200):  # more than a pipe holds
            client.post("resources/read", {"uri": "queue://commands"})
        left = time.monotonic()
        client.close_stdin()
        assert client.wait() == 0
        record_property("seconds", round(time.monotonic() - left, 3))
        client.start_reading()
        # The line that was being written when the server left is cut.
        client.violations.clear()
        client.close()
        client.violations.clear()
    assert "Traceback" not in client.stderr


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
    """The parent dies while another process still holds the server's input open."""
    to_server, input_held = os.pipe()
    output, from_server = os.pipe()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()",
            *setup.command,
        ],
        stdin=to_server,
        stdout=from_server,
    )
    os.close(to_server)
    os.close(from_server)
    try:
        os.write(input_held, b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert b'"id":1' in os.read(output, 65536)
        left = time.monotonic()
        parent.kill()
        parent.wait()
        while os.read(output, 65536):  # end of file is the proof that the server is gone
            pass
        record_property("seconds", round(time.monotonic() - left, 3))
    finally:
        os.close(input_held)
        os.close(output)
