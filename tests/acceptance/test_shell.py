"""``run_shell``: there only when it was turned on, then any shell command as a job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.serving import Setup
from support.speaking import MODERN, Speaker, speaking

pytestmark = pytest.mark.needs("schemas")


@pytest.fixture
def server(setup: Setup) -> Setup:
    setup.commands = ["mcp_queue_tools.shell"]
    return setup


def told(result: dict[str, Any]) -> dict[str, Any]:
    return json.loads(result["content"][0]["text"])


def ran(speaker: Speaker, command: str, **arguments: Any) -> dict[str, Any]:
    return told(speaker.call("run_shell", command=command, **arguments))


def test_it_is_off_unless_turned_on(setup: Setup) -> None:
    with speaking(setup, MODERN) as speaker:
        tools = {tool["name"] for tool in speaker.request("tools/list")["tools"]}
        assert "run_shell" not in tools
        error = speaker.refused("tools/call", name="run_shell", arguments={"command": "true"})
        assert error["code"] == -32602


def test_a_command_its_exit_code_and_its_output(server: Setup, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    with speaking(server, MODERN) as speaker:
        view = ran(speaker, "ls; echo oops >&2; exit 3", cwd=str(tmp_path))
        assert (view["status"], view["result"]["exit_code"]) == ("completed", 3)
        assert "here\n" in view["result"]["stdout"]
        assert view["result"]["stderr"] == "oops\n"
        log = told(speaker.call("queue_get_job_logs", job_id=view["job_id"]))
        assert ("here" in log["stdout"], log["stderr"]) == (True, ["oops"])
        view = ran(speaker, "kill -9 $$")
        assert view["result"]["signal"] == "SIGKILL"
        view = ran(speaker, "seq 1 100000")
        assert view["result"]["stdout"].endswith("99999\n100000\n")
        assert len(view["result"]["stdout"]) == 8192
        assert view["stdout_size"] == 588_895


def test_it_ends_in_time_and_when_stopped(server: Setup) -> None:
    gate = server.gate("gate")
    with speaking(server, MODERN, tasks=True) as speaker:
        late = speaker.call("run_shell", command="echo begun; sleep 600", timeout=1.5)["taskId"]
        [view] = told(speaker.call("queue_wait_job", job_ids=late))["jobs"]
        assert view["status"] == "failed"
        assert "after 1.5 s" in view["error"]["message"]
        assert "begun" in view["error"]["message"]
        script = f"trap 'echo tidied; exit 7' TERM; touch {gate}; sleep 600 & wait"
        running = speaker.call("run_shell", command=script)["taskId"]
        while not gate.exists():
            assert speaker.request("tasks/get", taskId=running)["status"] == "working"
        stopped = told(speaker.call("queue_stop_job", job_id=running))
        assert stopped["status"] == "stopped"
        assert stopped["result"] == {"exit_code": 7, "stdout": "tidied\n", "stderr": ""}


def test_what_it_refuses(server: Setup) -> None:
    with speaking(server, MODERN) as speaker:
        for arguments, words in (
            ({"cwd": "/nowhere/at all"}, "it is no folder here"),
            ({"timeout": -1}, "a number of seconds"),
            ({"timeout": "soon"}, "timeout"),
        ):
            answer = told(speaker.call("run_shell", command="true", **arguments))
            assert (answer["success"], words in answer["error"]["message"]) == (False, True)
