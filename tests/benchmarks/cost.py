"""What a server costs an agent: bytes that its model reads, and calls from request to result.

    python -m tests.benchmarks.cost

Prints each figure with its bound; exit status 1 if one is over it. A byte is one of UTF-8; the
figures are of what a model is shown: the text of an answer, or its structured content, which say
the same.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.serving import Setup
from support.speaking import MODERN, Speaker, speaking

COMMANDS = str(Path(__file__).parents[1] / "support" / "surface_commands.py")


@dataclass(frozen=True)
class Cost:
    """One figure and what it may be at most."""

    name: str
    found: int
    bound: int

    def __str__(self) -> str:
        verdict = "kept" if self.found <= self.bound else "OVER"
        return f"{verdict:5}{self.name:50}{self.found:6} ≤ {self.bound}"


def measure(folder: Path) -> list[Cost]:
    """All figures; the server lives in ``folder``."""
    with speaking(Setup(folder, commands=[COMMANDS]), MODERN) as speaker:
        tools = speaker.request("tools/list")["tools"]
        built_in = [tool for tool in tools if tool["name"].startswith("queue_")]
        discovered = speaker.request("server/discover")
        handle, waited, calls = _with_a_wait(speaker)
        view = _text(speaker.call("queue_get_job_status", job_id=json.loads(handle)["job_id"]))
        inline, inline_calls = _inline(speaker)
    with speaking(Setup(folder, commands=[COMMANDS]), MODERN, tasks=True) as speaker:
        task_calls = _as_a_task(speaker)
    return [
        Cost("bytes of instructions", len(discovered["instructions"].encode()), 1024),
        Cost("bytes of tools/list, built-in tools", _size(built_in), 6143),
        Cost("bytes of one queued tool in tools/list", _size(_one(tools, "adds")), 640),
        Cost("bytes of a handle", len(handle), 192),
        Cost("bytes of a job view, completed", len(view), 448),
        Cost("bytes of a finished wait for one job", len(waited), 576),
        Cost("bytes of an inline result", len(inline), 448),
        Cost("calls from request to result, as a task", task_calls, 1),
        Cost("calls from request to result, with inline_wait", inline_calls, 1),
        Cost("calls from request to result, else", calls, 2),
    ]


def _with_a_wait(speaker: Speaker) -> tuple[bytes, bytes, int]:
    handle = _text(speaker.call("adds", a=1, b=2))
    waited = _text(speaker.call("queue_wait_job", job_ids=json.loads(handle)["job_id"]))
    assert json.loads(waited)["jobs"][0]["result"] == 3
    return handle, waited, 2


def _inline(speaker: Speaker) -> tuple[bytes, int]:
    result = _text(speaker.call("inline_class", text="x"))
    assert json.loads(result)["result"]["data"] == "X"
    return result, 1


def _as_a_task(speaker: Speaker) -> int:
    """The model makes one call; it is the host that asks for the task until it has the result."""
    created = speaker.call("adds", a=1, b=2)
    while (task := speaker.request("tasks/get", taskId=created["taskId"]))["status"] == "working":
        pass
    assert task["result"]["structuredContent"]["result"] == 3
    return 1


def _one(tools: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [found] = [tool for tool in tools if tool["name"] == name]
    return found


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _text(result: dict[str, Any]) -> bytes:
    text = result["content"][0]["text"]
    assert json.loads(text) == result["structuredContent"]
    return text.encode()


def main() -> None:
    """Print all figures."""
    with TemporaryDirectory() as folder:
        costs = measure(Path(folder))
    print(*costs, sep="\n")
    sys.exit(any(cost.found > cost.bound for cost in costs))


if __name__ == "__main__":
    main()
