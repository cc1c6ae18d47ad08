"""A server that is configured wrong says what is wrong and serves what it can."""

from __future__ import annotations

import json

import pytest

from support.rawclient import RawClient
from support.serving import HANDSHAKE, Setup

BROKEN = {
    "syntax.py": ("def broken(:\n", "syntax.py, line 1"),
    "missing.py": ("import json\nimport no_such_module\n", "missing.py, line 2"),
    "raises.py": (
        "def deep():\n    raise ValueError('at import')\n\ndeep()\n",
        "raises.py, line 2",
    ),
    "leaves.py": ("import sys\nsys.exit(3)\n", "leaves.py, line 2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_command_module(setup: Setup, name: str) -> None:
    source, place = BROKEN[name]
    module = setup.folder / name
    module.write_text(source, "utf-8")
    setup.commands.insert(0, str(module))
    stderr = serve_and_call(setup)
    assert str(module) in stderr
    assert place in stderr
    assert "Traceback" not in stderr


def test_a_module_that_does_not_exist(setup: Setup) -> None:
    setup.commands.insert(0, "no_such_module_at_all")
    assert "no_such_module_at_all" in serve_and_call(setup)


def test_a_bad_value_and_an_unknown_key(setup: Setup) -> None:
    setup.settings |= {"max_concurrent_jobs": "many", "max_concurent_jobs": 3}
    stderr = serve_and_call(setup)
    assert "'max_concurrent_jobs'" in stderr
    assert 'got "many"' in stderr
    assert "10 serves in its place" in stderr
    assert "from 1 to 1000" in stderr
    assert "'max_concurent_jobs'" in stderr
    assert "Did you mean max_concurrent_jobs?" in stderr


def test_a_file_that_is_not_json(setup: Setup) -> None:
    command = setup.command
    (setup.folder / "config.json").write_text("{", "utf-8")
    with RawClient(command) as client:
        tools = list_tools(client)
        assert "queue_health" in tools
        assert "not JSON" in client.stderr


def test_an_environment_variable_that_is_no_setting(setup: Setup) -> None:
    with RawClient(setup.command, env={"MCP_QUEUE_IN_MEMRY": "true"}) as client:
        assert "queue_health" in list_tools(client)
        assert "MCP_QUEUE_IN_MEMRY" in client.stderr
        assert "MCP_QUEUE_IN_MEMORY" in client.stderr


def test_a_registry_that_is_another_program_s_file(setup: Setup) -> None:
    path = setup.folder / "old.jsonl"
    path.write_text(json.dumps({"job_id": "1"}) + "\n", "utf-8")
    setup.settings |= {"in_memory": False, "registry_path": str(path)}
    with RawClient(setup.command) as client:
        assert client.wait() == 1
    assert str(path) in client.stderr
    assert "registry_path" in client.stderr
    assert "Traceback" not in client.stderr
    assert path.read_text("utf-8") == json.dumps({"job_id": "1"}) + "\n"


def serve_and_call(setup: Setup) -> str:
    """Serve, call a command of the module that is not broken; what the server complained of."""
    with RawClient(setup.command) as client:
        assert "chatty" in list_tools(client)
        answer = client.request("tools/call", {"name": "chatty", "arguments": {"text": "hi"}})
        assert answer["result"]["structuredContent"] == {"result": "HI"}
        return client.stderr


def list_tools(client: RawClient) -> set[str]:
    client.request("initialize", HANDSHAKE)
    client.notify("notifications/initialized")
    return {tool["name"] for tool in client.request("tools/list")["result"]["tools"]}
