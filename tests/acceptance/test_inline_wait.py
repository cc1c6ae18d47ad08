"""A call with ``inline_wait`` answers with the result if it comes in time, else with the handle."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mcp_queue import command
from mcp_queue.errors import InvalidCommandError
from support.serving import Setup
from support.speaking import ERAS, MODERN, Speaker, speaking

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).parents[1] / "support" / "surface_commands.py")


@pytest.fixture
def server(setup: Setup) -> Setup:
    setup.commands = [COMMANDS]
    setup.settings["stop_grace_seconds"] = 0.5
    return setup


def told(speaker: Speaker, token: object) -> list[dict[str, Any]]:
    """The progress that came for ``token``."""
    notes = [note for note in speaker.client.notifications if "progress" in note["method"]]
    return [note["params"] for note in notes if note["params"]["progressToken"] == token]


@pytest.mark.parametrize("version", ERAS)
def test_a_job_that_ends_in_time_is_answered_with_its_result(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        meta = {"progressToken": "mine"}
        result = speaker.request(
            "tools/call", name="counts_quickly", arguments={"steps": 20}, _meta=meta
        )
        view = json.loads(result["content"][0]["text"])
        assert (view["success"], view["status"], view["progress"]) == (True, "completed", 100)
        assert view["result"] == {"counted": 20}
        if "structuredContent" in result:
            assert result["structuredContent"] == view
        values = [note["progress"] for note in told(speaker, "mine")]
        assert len(values) > 1
        assert all(later > earlier for earlier, later in pairwise(values))
        status = speaker.call("queue_get_job_status", job_id=view["job_id"])
        assert json.loads(status["content"][0]["text"])["result"] == view["result"]
        last = [received for received in speaker.client.received if received.is_answer][-1]
        assert not [
            received
            for received in speaker.client.received
            if received.method == "notifications/progress" and received.at > last.at
        ]


@pytest.mark.parametrize("version", ["2025-11-25", MODERN])
def test_a_failed_job_is_an_error_with_its_view(server: Setup, version: str) -> None:
    with speaking(server, version) as speaker:
        result = speaker.call("breaks")
    assert result["isError"] is True
    answer = json.loads(result["content"][0]["text"])
    assert (answer["success"], answer["status"]) == (False, "failed")
    assert answer["error"]["code"] == "exception"
    assert "broken within" in answer["error"]["message"]


@pytest.mark.parametrize("version", ["2025-06-18", MODERN])
def test_a_job_that_does_not_is_answered_with_its_handle(server: Setup, version: str) -> None:
    gate = server.gate("gate")
    with speaking(server, version) as speaker:
        handle = speaker.call("gated_briefly", gate=str(gate))["structuredContent"]
        assert set(handle) == {"success", "job_id", "status", "message"}
        assert handle["status"] in ("pending", "running")
        gate.touch()
        wait = speaker.call("queue_wait_job", job_ids=handle["job_id"])["structuredContent"]
        assert wait["jobs"][0]["result"] == "passed"


def test_cancelling_the_call_leaves_the_job_running(server: Setup) -> None:
    gate = server.gate("gate")
    with speaking(server, "2025-11-25") as speaker:
        arguments = {"name": "gated_long", "arguments": {"gate": str(gate)}}
        meta = {"progressToken": 7}
        request = speaker.client.post("tools/call", speaker.params(**arguments, _meta=meta))
        speaker.told("notifications/progress", message="10% · at the gate")
        speaker.client.notify("notifications/cancelled", {"requestId": request})
        [job] = speaker.call("queue_list_jobs")["structuredContent"]["jobs"]
        assert job["status"] == "running"
        before = len(told(speaker, 7))
        gate.touch()
        wait = speaker.call("queue_wait_job", job_ids=job["job_id"])["structuredContent"]
        assert wait["jobs"][0]["result"] == "passed"
        assert len(told(speaker, 7)) == before


def test_who_may_get_a_task_gets_it_at_once(server: Setup) -> None:
    gate = server.gate("gate")
    with speaking(server, MODERN, tasks=True) as speaker:
        assert speaker.call("gated_briefly", gate=str(gate))["resultType"] == "task"
        gate.touch()
        result = speaker.call("gated_long", gate=str(gate))
        assert result["structuredContent"]["result"] == "passed"


def test_the_class_form(server: Setup) -> None:
    with speaking(server, MODERN) as speaker:
        view = speaker.call("inline_class", text="abc")["structuredContent"]
    assert view["result"] == {"success": True, "data": "ABC"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"use_queue": True, "inline_wait": 0}, "positive number of seconds"),
        ({"use_queue": True, "inline_wait": "5"}, "got '5'"),
        ({"inline_wait": 5}, "use_queue=True"),
        ({"use_queue": True, "inline_wait": 5, "task": "required"}, "task='required'"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidCommandError, match=words):
        command(name="refused_inline_wait", **options)(lambda: None)
