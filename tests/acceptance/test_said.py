"""What goes wrong is said where a person looks for it, in words that help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.rawclient import RawClient
from support.serving import GUARD, HANDSHAKE, Setup

if TYPE_CHECKING:
    from pathlib import Path

CLI = [sys.executable, "-m", "mcp_queue"]
COMMANDS = """
from mcp_queue import File, command

@command
def fails(n: int) -> int:
    return {}[n]

@command
def gives_bytes() -> dict:
    return {"picture": b"\\x89PNG\\xff"}

@command
def gives_a_buffer() -> list:
    return [bytearray(b"\\xff")]

@command(use_queue=True)
def job_gives_bytes() -> dict:
    return {"picture": b"\\x89PNG\\xff"}
"""


@pytest.fixture
def said(tmp_path: Path) -> Setup:
    setup = Setup(tmp_path, {}, [str(tmp_path / "tools.py")])
    (tmp_path / "tools.py").write_text(COMMANDS, "utf-8")
    return setup


def call(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    return json.loads(answer["result"]["content"][0]["text"])


def ran(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        timeout=GUARD * 2,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def test_an_exception_of_a_plain_command(said: Setup) -> None:
    """Its traceback is in the log, and the arguments are not blamed."""
    with RawClient(said.command) as client:
        client.request("initialize", HANDSHAKE)
        error = call(client, "fails", n=7)["error"]
    assert error["message"] == "KeyError: 7"
    assert error["hint"] == (
        "'fails' raised it; the traceback is in the server's log (standard error)."
    )
    assert "'fails' failed\n    Traceback (most recent call last):\n" in client.stderr
    assert f'{said.folder / "tools.py"}", line 6, in fails' in client.stderr
    assert client.stderr.endswith("KeyError: 7\n")


@pytest.mark.parametrize("tool", ["gives_bytes", "gives_a_buffer", "job_gives_bytes"])
def test_bytes_as_a_result(said: Setup, tool: str) -> None:
    with RawClient(said.command) as client:
        client.request("initialize", HANDSHAKE)
        answer = call(client, tool)
        if "job_id" in answer:
            [answer] = call(client, "queue_wait_job", job_ids=answer["job_id"])["jobs"]
    assert answer["error"]["code"] == "result_not_serializable"
    assert "mcp_queue.File(" in answer["error"]["message"]


@pytest.mark.parametrize("by", ["flag", "environment", "file"])
def test_a_registry_path_in_memory(said: Setup, by: str) -> None:
    path = str(said.folder / "my.db")
    env = {"MCP_QUEUE_REGISTRY_PATH": path} if by == "environment" else {}
    if by == "file":
        said.settings["registry_path"] = path
    command = [*said.command, *(["--registry-path", path] if by == "flag" else [])]
    with RawClient(command, env=env) as client:
        client.request("initialize", HANDSHAKE)
        [problem] = call(client, "queue_health")["problems"]
    assert f"'registry_path' ({path}) is ignored" in problem
    assert "--persistent" in problem
    assert client.stderr == f"mcp-queue: {problem}\n"
    assert not os.path.exists(path)


def test_a_setting_that_is_wrong_is_said_as_json(said: Setup) -> None:
    said.settings |= {"enabled": "maybe", "queue_full_policy": None}
    with RawClient(said.command) as client:
        client.request("initialize", HANDSHAKE)
        problems = call(client, "queue_health")["problems"]
    text = "\n".join(problems)
    assert 'got "maybe"' in text
    assert "; true serves in its place" in text
    assert "got null" in text
    assert '; "evict_oldest" serves in its place' in text
    assert client.stderr == "".join(f"mcp-queue: {problem}\n" for problem in problems)


def test_a_module_that_is_not_found(said: Setup) -> None:
    said.commands.append("my_tools")
    with RawClient(said.command, cwd=said.folder) as client:
        client.request("initialize", HANDSHAKE)
        [problem] = call(client, "queue_health")["problems"]
    assert "No module named 'my_tools'" in problem
    assert str(said.folder) in problem
    assert "./my_tools.py" in problem
    assert "PYTHONPATH" in problem
    assert client.wait() == 0


def test_no_arguments_at_all() -> None:
    done = ran()
    assert done.returncode == 2
    assert done.stderr == ran("--help").stdout
    assert "serve the tools to MCP clients" in done.stderr


@pytest.mark.parametrize("arguments", [["serve", "plain.py"], ["plain.py"], ["./plain.py", "x"]])
def test_a_file_in_the_wrong_place(arguments: list[str]) -> None:
    file = next(each for each in arguments if each.endswith(".py"))
    done = ran(*arguments)
    assert done.returncode == 2
    assert f"write: mcp-queue serve --commands {file}\n" in done.stderr


def test_two_files_in_the_wrong_place() -> None:
    done = ran("serve", "a.py", "my.module", "--in-memory")
    assert done.returncode == 2
    assert "mcp-queue serve --commands a.py --commands my.module\n" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT for one process")
def test_the_demo_interrupted(tmp_path: Path) -> None:
    """One line, the status of an interrupted program, and nothing stays behind."""
    (tmp_path / "one.py").write_text("def f(): ...\n" * 50, "utf-8")
    demo = subprocess.Popen(
        [*CLI, "demo", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert demo.stdout is not None
    assert "Starting a server" in demo.stdout.readline()
    demo.send_signal(signal.SIGINT)
    _, stderr = demo.communicate(timeout=GUARD * 2)
    assert demo.returncode == 130
    assert stderr.splitlines()[-1:] == ["mcp-queue: interrupted; the server and its job are gone."]
    assert "Traceback" not in stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT for one process")
def test_a_server_interrupted_as_it_starts(said: Setup) -> None:
    """Ctrl-C while modules are loaded ends it, with no traceback, and is not taken for an error
    of the module."""
    gate, slow = said.gate("gate"), said.folder / "slow.py"
    slow.write_text(
        f"import time\nopen({str(gate)!r}, 'wb').close()\nwhile True: time.sleep(1)\n",
        "utf-8",
    )
    said.commands.append(str(slow))
    os.mkfifo(gate)
    server = subprocess.Popen(
        said.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        slow_is_loaded(gate)
        server.send_signal(signal.SIGINT)
        _, stderr = server.communicate(timeout=GUARD)
        assert server.returncode == -signal.SIGINT
        assert b"Traceback" not in stderr
    finally:
        server.kill()
        server.wait()


def slow_is_loaded(gate: Path) -> None:
    """Return once the module has opened the pipe."""
    with gate.open("rb"):
        return


def test_an_uncaught_error_shows_its_hint() -> None:
    code = "from mcp_queue import get_global_queue_manager as g; g()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=GUARD
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()[-2:]
    assert "There is no global queue manager yet." in lines[0]
    assert lines[1] == "Call `await init_global_queue_manager()` first, or pass `manager=`."
