"""What real hosts wrote is answered as their era's schema says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.rawclient import RawClient
from support.replay import Replay, read_recording

pytestmark = pytest.mark.needs("schemas")

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings"

RecordProperty = Callable[[str, object], None]


@contextmanager
def host(
    folder: Path, record_property: RecordProperty, commands: str = "commands.py"
) -> Iterator[Replay]:
    """A host beside a server with a persistent registry; at the end it closes stdin."""
    config = folder / "config.json"
    section = {"in_memory": False, "registry_path": str(folder / "registry.db")}
    config.write_text(json.dumps({"queue_manager": section}))
    command = [sys.executable, "-m", "mcp_queue", "serve", "--config", config]
    replay = Replay(lambda: RawClient([*command, "--commands", HERE / commands], cwd=folder))
    with closing(replay):
        yield replay
        assert replay.end() == 0
    record_property("slowest_answer_seconds", round(replay.slowest, 4))
    record_property("exit_seconds", [round(seconds, 4) for seconds in replay.exits])


def wait_until_ended(replay: Replay) -> dict[str, Any]:
    """The last task, once its job has ended."""
    arguments = {"job_ids": [replay.task_id], "timeout_seconds": 120}
    waited = replay.request("tools/call", {"name": "queue_wait_job", "arguments": arguments})
    assert waited["structuredContent"]["timed_out"] is False
    return replay.request("tasks/get", {"taskId": replay.task_id})


@pytest.mark.parametrize("name", ["codex-0.169.0", "gemini-cli-0.61.0", "opencode-1.18.33"])
def test_a_host_of_the_handshake_era_is_answered_by_its_schema(
    tmp_path: Path, record_property: RecordProperty, name: str
):
    with host(tmp_path, record_property) as replay:
        replay.run(read_recording(RECORDINGS / f"{name}.jsonl"))


def test_a_task_that_claude_code_cancels_is_cancelled(
    tmp_path: Path, record_property: RecordProperty
):
    with host(tmp_path, record_property) as replay:
        replay.run(read_recording(RECORDINGS / "claude-code-2.1.331-task-cancel.jsonl"))
        assert wait_until_ended(replay)["status"] == "cancelled"


def test_a_task_that_claude_code_resumes_ends_with_its_result(
    tmp_path: Path, record_property: RecordProperty
):
    with host(tmp_path, record_property) as replay:
        replay.run(read_recording(RECORDINGS / "claude-code-2.1.331-task-resume.jsonl"))
        task = wait_until_ended(replay)
        assert task["status"] == "completed"
        assert task["result"]["structuredContent"]["result"] == "worked for 14 s"
        again = replay.request("tasks/get", {"taskId": replay.task_id})
        assert again["result"] == task["result"]


def test_a_question_that_claude_code_puts_to_its_person_is_answered(
    tmp_path: Path, record_property: RecordProperty
):
    with host(tmp_path, record_property, "asking_commands.py") as replay:
        replay.run(read_recording(RECORDINGS / "claude-code-2.1.331-task-ask.jsonl"))
        task = wait_until_ended(replay)
        assert task["status"] == "completed"
        assert task["result"]["structuredContent"]["result"] == "declined after 2 s"


def test_every_recording_is_replayed():
    source = Path(__file__).read_text()
    assert [path for path in RECORDINGS.glob("*.jsonl") if path.stem not in source] == []
