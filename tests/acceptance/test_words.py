"""Names of files and words of others reach a terminal harmlessly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.guards import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet

CLI = [sys.executable, "-m", "mcp_queue"]
TITLE = "\x1b]0;taken\x07"
HARM = f"{TITLE}\x9b2J\u202egnp.exe"

posix = pytest.mark.skipif(sys.platform == "win32", reason="names that Windows has not")


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


def demo(folder: Path, name: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, "demo", name],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


@posix
@pytest.mark.parametrize(
    "name", ["[/nope]", "[bold]x", "[link=https://evil.example]x[/link]", HARM]
)
def test_the_demo_shows_any_folder(tmp_path: Path, name: str) -> None:
    """Also where it draws a bar: the names of files stand in the descriptions."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    for stem in (HARM, "[/nope]", "Client"):
        (folder / f"{stem.replace('/', '|')}.py").write_text("class Client: ...\n", "utf-8")
    done = demo(tmp_path, name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert is_harmless(done.stdout + done.stderr)
    assert "search_classes 'Client': Client" in done.stdout
    assert "\\x1b]0;taken\\x07\\x9b2J\\u202egnp.exe.py" in done.stdout.replace("\n", "")
    if name == "[/nope]":
        assert "[/nope]" in done.stdout.replace("\n", "")


@posix
@pytest.mark.parametrize("name", ["[/nope]", HARM])
def test_the_demo_shows_any_name_that_is_no_folder(tmp_path: Path, name: str) -> None:
    done = demo(tmp_path, name)
    assert done.returncode == 2
    assert "is no folder" in done.stdout
    assert is_harmless(done.stdout + done.stderr)


@posix
def test_the_demo_says_why_its_job_failed(tmp_path: Path) -> None:
    """An error whose words hold a name, here of a file where the folder of the maps would be."""
    home = tmp_path / HARM
    home.write_text("")
    (tmp_path / "code").mkdir()
    done = demo(tmp_path, "code", HOME=str(home))
    assert done.returncode == 1
    assert "The job is failed: The code map" in done.stdout
    assert "\\x1b]0;taken" in done.stdout.replace("\n", "")
    assert is_harmless(done.stdout + done.stderr)


COMMANDS = """
import logging
from mcp_queue import Job, command

@command
def fails(text: str, *, job: Job) -> None:
    job.log("log " + text)
    logging.getLogger("of.a.package").warning("warned %s", text)
    raise ValueError(text)

@command
def counts(number: int) -> int:
    return number
"""


def test_what_clients_send_is_harmless_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(COMMANDS, "utf-8")
    with RawClient([*CLI, "serve", "--commands", tmp_path / "tools.py"]) as client:
        greet(client)
        answer = client.request("tools/call", {"name": "fails", "arguments": {"text": HARM}})
        assert HARM in json.loads(answer["result"]["content"][0]["text"])["error"]["message"]
        for arguments in ({"number": f"7{HARM}"}, {HARM: 1}, {"number": None, HARM: HARM}):
            client.request("tools/call", {"name": "counts", "arguments": arguments})
        client.request("tools/call", {"name": HARM, "arguments": {}})
        client.request("resources/read", {"uri": f"file:///{HARM}"})
        client.request(HARM, {})
        client.notify(HARM, {"x": HARM})
        call(client, "queue_health")
    assert "ValueError: \\x1b]0;taken\\x07\\x9b2J\\u202egnp.exe\n" in client.stderr
    assert "log \\x1b]0;taken" in client.stderr
    assert "warned \\x1b]0;taken" in client.stderr
    assert is_harmless(client.stderr)


@posix
@pytest.mark.parametrize("kind", ["a file that fails", "no such module", "a setting", "a config"])
def test_what_a_server_complains_of_at_its_start(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"{HARM}.py"
    file.write_text(f"raise OSError({HARM!r})\n", "utf-8")
    config = tmp_path / f"{HARM}.json"
    config.write_text("{}" if kind != "a config" else f"[{HARM}", "utf-8")
    arguments = {
        "a file that fails": ["--commands", str(file)],
        "no such module": ["--commands", f"x{HARM}"],
        "a setting": ["--max-concurrent-jobs", HARM],
        "a config": ["--config", str(config)],
    }[kind]
    with RawClient([*CLI, "serve", *arguments]) as client:
        greet(client)
        assert call(client, "queue_health")["problems"]
    assert "]0;taken" in client.stderr
    assert is_harmless(client.stderr)


FORGED = "mcp-queue: serving on http://evil.example"


def test_no_line_is_forged_by_what_clients_send(tmp_path: Path) -> None:
    """All but the first line of a message is indented."""
    (tmp_path / "tools.py").write_text(COMMANDS, "utf-8")
    words = f"first\n{FORGED}\r\n{FORGED}"
    with RawClient([*CLI, "serve", "--commands", tmp_path / "tools.py"]) as client:
        greet(client)
        client.request("tools/call", {"name": "fails", "arguments": {"text": words}})
        client.request("tools/call", {"name": words, "arguments": {}})
        client.request("resources/read", {"uri": f"file:///{words}"})
        client.request(words, {})
        client.notify(words, {"x": words})
        call(client, "queue_health")
    lines = client.stderr.splitlines()
    assert f"    {FORGED}" in lines
    assert "    ValueError: first" in lines
    assert not any(line.startswith("mcp-queue: serving") for line in lines), client.stderr


def test_no_line_is_forged_by_a_file_that_fails(tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text(f"raise OSError({f'first{chr(10)}{FORGED}'!r})\n", "utf-8")
    with RawClient([*CLI, "serve", "--commands", str(file)]) as client:
        greet(client)
        call(client, "queue_health")
    assert f"\n    {FORGED}" in client.stderr
    assert f"\n{FORGED}" not in client.stderr


@pytest.mark.parametrize("command", [[], ["serve"], ["demo", "."]])
def test_options_that_there_are_not(command: list[str]) -> None:
    option = f"--{HARM}\n{FORGED}"
    done = subprocess.run(
        [*CLI, *command, option], capture_output=True, text=True, timeout=GUARD, check=False
    )
    assert done.returncode == 2
    assert "\\x1b]0;taken" in done.stderr
    assert is_harmless(done.stderr)
    assert f"\n{FORGED}" not in done.stderr


def test_arguments_in_the_wrong_place(tmp_path: Path) -> None:
    done = subprocess.run(
        [*CLI, f"{HARM}.py"], capture_output=True, text=True, timeout=GUARD, check=False
    )
    assert done.returncode == 2
    assert is_harmless(done.stderr)
