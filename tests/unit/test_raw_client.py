"""The raw client sees what the wire carries, and forgives nothing."""

from __future__ import annotations

import sys

import pytest

from support.rawclient import RawClient

ECHO = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/seen"}))
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": request.get("params")}))
        sys.stdout.flush()
print("farewell", file=sys.stderr)
sys.exit(7)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_requests_are_answered_and_notifications_kept():
    with RawClient(python(ECHO)) as client:
        first = client.post("a", {"n": 1})
        assert client.request("b")["result"] is None
        received = client.answer(first)
        assert received.message["result"] == {"n": 1}
        assert received.at >= client.started_at
        assert [note["method"] for note in client.notifications] == ["notifications/seen"] * 2
        client.close_stdin()
        assert client.wait() == 7
    assert client.stderr == "farewell\n"


def test_a_large_message_passes_in_both_directions():
    with RawClient(python(ECHO)) as client:
        text = "x" * 1_000_000
        assert client.request("a", {"text": text})["result"]["text"] == text


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("stray", "no JSON on stdout"),
        ('[{"jsonrpc": "2.0"}]', "no JSON-RPC on stdout"),
        ('{"jsonrpc": "2.0", "id": 1, "result": 1, "error": {}}', "neither request"),
    ],
)
def test_a_stray_line_is_a_violation(line: str, named: str):
    client = RawClient(python(f"print({line!r})"))
    with pytest.raises(AssertionError, match=named), client:
        client.wait()
    assert len(client.violations) == 1


def test_a_wait_ends_with_the_server():
    with RawClient(python("")) as client, pytest.raises(AssertionError, match="stdout has ended"):
        client.answer(1)


def test_a_guard_that_is_hit_says_what_had_come():
    silent = 'import sys; print("working", file=sys.stderr, flush=True); sys.stdin.read()'
    with RawClient(python(silent)) as client:
        with pytest.raises(AssertionError, match="no answer to request 1"):
            client.request("a", timeout=0.3)
        with pytest.raises(AssertionError, match="still runs after"):
            client.wait(timeout=0.01)


def test_a_server_that_is_not_read():
    flood = 'import sys; print("x" * 1_000_000, flush=True)'
    client = RawClient(python(flood), reading=False)
    with pytest.raises(AssertionError, match="still runs"):
        client.wait(timeout=0.3)
    client.start_reading()
    assert client.wait() == 0
    client.close()
    assert len(client.violations) == 1
