"""Every code block of the documents does what the text around it says."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from support.rawclient import RawClient
from support.serving import HANDSHAKE
from support.web import VARIABLE, WebServer, fetch, modern, request, session

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]'"
DEMO = r"mcp-queue demo$"
PINNED = r"^uv venv "
TESTED = f"{INSTALL} && .venv/bin/python -m pytest"
SCRIPTS = sysconfig.get_path("scripts")
GUARD = 600  # seconds, for an installation over a slow network


@dataclass(frozen=True)
class Block:
    document: str
    language: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.splitlines()[0]


def blocks() -> list[Block]:
    return [
        Block(path.name, language, text)
        for path in DOCUMENTS
        for language, text in re.findall(
            r"^```(\w*)\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    ]


BLOCKS = blocks()


def python_block(name: str) -> str:
    [found] = [block.text for block in BLOCKS if block.first_line == f'"""{name}"""']
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's Python files."""
    for block in BLOCKS:
        if block.language == "python":
            name = block.first_line.strip('"')
            (tmp_path / name).write_text(block.text, "utf-8")
    return tmp_path


CASES = [
    pytest.param(
        block,
        id=f"{block.document}-{block.first_line}",
        marks=[
            pytest.mark.needs(need)
            for need, pattern in (("pip", DEMO), ("uv", PINNED))
            if re.search(pattern, block.text)
        ],
    )
    for block in BLOCKS
]


@pytest.mark.parametrize("block", CASES)
def test_block(block: Block, folder: Path, user_environment: dict[str, str]) -> None:
    HANDLERS[handler_of(block)](block, folder, user_environment)


def handler_of(block: Block) -> str:
    """The name of the check that a block gets; one without fails its test."""
    for language, pattern, name in KINDS:
        if language == block.language and re.search(pattern, block.text):
            return name
    raise AssertionError(f"no test runs this block of {block.document}:\n{block.text}")


def run_demo(block: Block, folder: Path, environment: dict[str, str]) -> None:
    done = run_in_a_copy(block.text, folder / "clone", environment)
    progress = [float(value) for value in re.findall(r"^ *([\d.]+)%  ", done.stdout, re.MULTILINE)]
    assert len(progress) >= 10
    assert progress == sorted(progress)
    assert re.search(r"modules\W+[\d,]{3,}", done.stdout)


def install_pinned(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """The very versions of the lock file can be installed, and the program starts with them."""
    line = f"{block.text.strip()} && .venv/bin/mcp-queue --version"
    path = os.pathsep.join([SCRIPTS, environment["PATH"]])
    done = run_in_a_copy(line, folder / "clone", {**environment, "PATH": path})
    assert done.stdout.strip() == version("mcp-queue")


def run_in_a_copy(
    line: str, target: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in a fresh copy of the tree."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=fresh_copy(target),
        env=environment,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def fresh_copy(target: Path) -> Path:
    """What a clone of the working tree would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def is_a_benchmark(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """One part of it runs; what it measures on a busy machine says nothing."""
    _, script = shlex.split(block.text)
    done = subprocess.run(
        [sys.executable, script, "workers"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert re.match(r"(kept|MISSED) +a worker's own start", done.stdout), done.stderr


def is_what_ci_runs(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """A test cannot run all tests; `.ci/run` runs the README's line in a fresh clone."""
    assert block.text.strip() in (TESTED, INSTALL, TESTED.removeprefix(f"{INSTALL} && "))


def test_ci_runs_the_very_line_of_the_readme() -> None:
    """Nothing is installed before it."""
    assert TESTED in [block.text.strip() for block in BLOCKS if block.document == "README.md"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert TESTED in script.splitlines()
    before, _ = script.split(TESTED)
    commands = [line for line in before.splitlines() if line and not line.startswith("#")]
    assert [line.split()[0] for line in commands] == ["set", "cd", "export"]


def serve_folder(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """The server that a command line starts has both commands, and its jobs run."""
    text = block.text.replace("$PWD/.venv/bin", SCRIPTS).replace("$PWD", str(folder))
    command = shlex.split(text)
    if "--" in command:
        command = command[command.index("--") + 1 :]
    with serving(command, folder) as client:
        check_checksums(client, folder)


def serve_http(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """The server is where the command line says, but for the port, which may be taken here."""
    command, address = block.text.strip().rsplit(" --http ", 1)
    host = address.partition(":")[0]
    assert f"http://{address}/mcp" in (ROOT / block.document).read_text("utf-8")
    executable = [os.path.join(SCRIPTS, "mcp-queue"), *shlex.split(command)[1:]]
    with WebServer(executable, f"{host}:0", cwd=folder) as server:
        assert server.url == f"http://{host}:{server.port}/mcp"
        listed = fetch(server, request(1, "tools/list"), headers=session(server))
        tools = {tool["name"] for tool in listed.message["result"]["tools"]}
        assert {"checksum_files", "queue_health"} <= tools


def connect_over_http(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """The address is the one that is served, and the header lets in who has the variable."""
    _, _, _, flag, transport, _, url, _, header = shlex.split(block.text)
    assert (flag, transport, url) == ("--transport", "http", "http://127.0.0.1:8000/mcp")
    token = secrets.token_urlsafe()
    name, _, value = header.partition(": ")
    headers = {name: value.replace(f"${{{VARIABLE}}}", token)}
    command = [os.path.join(SCRIPTS, "mcp-queue"), "serve"]
    with WebServer(command, cwd=folder, environ={VARIABLE: token}) as server:
        message, names = modern("server/discover")
        assert "result" in fetch(server, message, headers={**names, **headers}).message
        assert fetch(server, message, headers={**names, name: value}).status == 401


def check_checksums(client: RawClient, folder: Path) -> None:
    arguments = {"folder": str(folder), "pattern": "*.py"}
    job_id = call(client, "checksum_files", **arguments)["job_id"]
    [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
    assert job["status"] == "completed", job
    assert set(job["result"]) == {path.name for path in folder.glob("*.py")}


def serve_module(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """The commands of a module, through a server."""
    name = block.first_line.strip('"')
    command = [sys.executable, "-m", "mcp_queue", "serve", "--commands", name]
    with serving(command, folder) as client:
        if name == "my_commands.py":
            check_checksums(client, folder)
            assert call(client, "checksum_text", text="abc") == {"result": 891568578}
            return
        if name == "asking_commands.py":
            check_asking(client, folder)
            return
        if name == "report_commands.py":
            check_report(client)
            return
        if name == "notes_commands.py":
            check_notes(client)
            return
        job_id = call(client, "count_lines", path=str(folder / name))["job_id"]
        [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
        lines = len(block.text.splitlines())
        assert job["result"] == {"success": True, "data": {"lines": lines}}
        job_id = call(client, "count_lines", path="no such file")["job_id"]
        [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
        assert (job["status"], job["error"]["code"]) == ("failed", "reported")
        assert "no such file" in job["error"]["message"]


def check_asking(client: RawClient, folder: Path) -> None:
    for name in ("a.tmp", "b.bak", "c.txt"):
        (folder / name).touch()
    job_id = call(client, "clean_up", folder=str(folder))["job_id"]
    [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
    assert job["questions"][0]["message"] == "2 files could go. Which kinds?"
    for key, content in (("a1.q1.which", {"kinds": [".tmp"]}), ("a1.q1.sure", {"confirm": True})):
        call(client, "queue_answer_job", job_id=job_id, key=key, content=content)
    [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
    assert job["result"] == ["a.tmp"]
    assert not (folder / "a.tmp").exists()
    assert "'user_name' is missing" in call(client, "greet")["error"]["message"]


def check_report(client: RawClient) -> None:
    job_id = call(client, "report", rows=[1, 2])["job_id"]
    arguments = {"name": "queue_wait_job", "arguments": {"job_ids": [job_id]}}
    answer = client.request("tools/call", arguments)["result"]
    envelope, report, link, rows = answer["content"]
    assert report["resource"]["text"] == "# Report\n\nThe sum is 3.\n"
    assert link["uri"] == "https://example.org/"
    [content] = client.request("resources/read", {"uri": rows["uri"]})["result"]["contents"]
    assert content["text"] == "1\n2\n"
    assert "done" in envelope["text"]


def check_notes(client: RawClient) -> None:
    assert "error" in client.request("resources/read", {"uri": "notes://2026-11-25"})
    client.request("resources/subscribe", {"uri": "notes://2026-11-25"})
    assert (
        call(client, "write_note", day="2026-11-25", text="# Rain")["result"]
        == "notes://2026-11-25"
    )
    client.wait_for(lambda received: received.method == "notifications/resources/updated")
    [note] = client.request("resources/read", {"uri": "notes://2026-11-25"})["result"]["contents"]
    assert (note["mimeType"], note["text"]) == ("text/markdown", "# Rain")
    prompt = {"name": "summarize_note", "arguments": {"day": "2026-11-25"}}
    [message] = client.request("prompts/get", prompt)["result"]["messages"]
    assert message["content"]["text"] == "Read notes://2026-11-25 and give me a short summary."
    listed = client.request("prompts/list")["result"]["prompts"]
    assert "describe_picture" in {each["name"] for each in listed}


def run_script(block: Block, folder: Path, environment: dict[str, str]) -> None:
    name = block.first_line.strip('"')
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for pattern in PRINTED[name]:
        assert re.search(pattern, done.stdout, re.MULTILINE), done.stdout


PRINTED = {
    "use_queue.py": [r"^completed 100% reading$", r"'my_commands\.py':"],
    "call_server.py": [r"^\d+% ", r"^completed \{.*'call_server\.py': \d+"],
    "data_job.py": [
        r"^completed \{'processed': 3, 'squares': \[1, 4, 9\]\} None$",
        r"^failed \{'status': 'error', .*\} 'two' is no number$",
    ],
    "poll_job.py": [r"^completed 100% Processed 5/5$", r"'squares': \[0, 1, 4, 9, 16\]"],
    "measure_project.py": [
        r"^Command 'measure_project' has been queued for execution$",
        r"^running \d+% step \d of 5$",
        r"^\{'success': True, 'data': \{'files': \d+, 'lines': \d{3,}\}\}$",
    ],
}
"""What the scripts print, as patterns of lines."""


def is_the_file_to_paste(block: Block, folder: Path, environment: dict[str, str]) -> None:
    assert block.text == (ROOT / "claude_config.json").read_text("utf-8")


def serve_codex(block: Block, folder: Path, environment: dict[str, str]) -> None:
    [server] = tomllib.loads(block.text)["mcp_servers"].values()
    with serving([server["command"], *server["args"]], folder) as client:
        assert call(client, "queue_health")["in_memory"] is False


def serve_host(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """The server that a host's configuration names keeps its jobs."""
    configured = json.loads(block.text)
    [servers] = [value for value in configured.values() if isinstance(value, dict)]
    [server] = servers.values()
    command = server["command"]
    line = command if isinstance(command, list) else [command, *server["args"]]
    with serving(line, folder) as client:
        assert call(client, "queue_health")["in_memory"] is False


def was_shown_to_a_model(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """A recording of `python -m tests.hosts.real` holds it, with what the dots leave out."""
    wanted = re.compile(re.escape(block.text.strip()).replace("…", ".*?"))
    recordings = (ROOT / "tests" / "hosts" / "real" / "shown").glob("*.json")
    shown = [text for path in recordings for text in texts_of(json.loads(path.read_text("utf-8")))]
    assert any(map(wanted.search, shown))


def texts_of(value: Any) -> Iterator[str]:
    """The texts in a value of JSON: each alone, and those of a list of texts by lines."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        yield "\n".join(filter(None, parts))
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)


def serve_configuration(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Nothing in it is complained of, but for modules that a reader has yet to write."""
    (folder / "my_package").mkdir()
    (folder / "my_package" / "commands.py").touch()
    (folder / "config.json").write_text(block.text, "utf-8")
    command = [sys.executable, "-m", "mcp_queue", "serve", "--config", "config.json"]
    with serving(command, folder) as client:
        health = call(client, "queue_health")
        assert (health["in_memory"], health["max_concurrent_jobs"]) == (False, 4)
        assert client.stderr == ""


def is_a_handle(block: Block, folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "mcp_queue", "serve", "--commands", "my_commands.py"]
    with serving(command, folder) as client:
        handle = call(client, "checksum_files", folder=str(folder))
    shown = json.loads(block.text)
    assert {**handle, "job_id": shown["job_id"], "status": shown["status"]} == shown


def is_an_error(block: Block, folder: Path, environment: dict[str, str]) -> None:
    with serving([sys.executable, "-m", "mcp_queue", "serve"], folder) as client:
        assert call(client, "queue_get_job_status", job_id="x") == json.loads(block.text)


@contextmanager
def serving(command: list[str], folder: Path) -> Iterator[RawClient]:
    """A server that a client started in ``folder``, the scripts of this environment on its path."""
    path = os.pathsep.join([SCRIPTS, os.environ["PATH"]])
    executable = shutil.which(command[0], path=path)
    assert executable, command
    environment = {"PATH": path, "PYTHONPATH": str(folder)}
    with RawClient([executable, *command[1:]], env=environment, cwd=folder) as client:
        client.request("initialize", HANDSHAKE)
        client.notify("notifications/initialized")
        yield client


def call(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    return answer["result"]["structuredContent"]


KINDS = [
    ("sh", DEMO, "demo"),
    ("sh", r"python -m pytest$", "ci"),
    ("sh", re.escape(INSTALL) + "$", "ci"),
    ("sh", PINNED, "pinned"),
    ("sh", r"tests/benchmarks/run\.py$", "benchmark"),
    ("sh", r"^mcp-queue serve .* --http ", "http"),
    ("sh", r"^mcp-queue serve ", "serve"),
    ("sh", r"^claude mcp add --transport http ", "http client"),
    ("sh", r"^claude mcp add ", "serve"),
    ("python", r"__main__", "script"),
    ("python", r"@command|\(Command\)", "module"),
    ("text", "", "shown"),
    ("json", r'"servers"|"mcp"|"timeout"', "host"),
    ("json", r'"mcpServers"', "claude"),
    ("toml", r"mcp_servers", "codex"),
    ("json", r'"queue_manager"', "configuration"),
    ("json", r'"status": "pending"', "handle"),
    ("json", r'"error"', "error"),
]
HANDLERS: dict[str, Callable[[Block, Path, dict[str, str]], None]] = {
    "demo": run_demo,
    "pinned": install_pinned,
    "ci": is_what_ci_runs,
    "benchmark": is_a_benchmark,
    "http": serve_http,
    "http client": connect_over_http,
    "serve": serve_folder,
    "module": serve_module,
    "script": run_script,
    "shown": was_shown_to_a_model,
    "host": serve_host,
    "claude": is_the_file_to_paste,
    "codex": serve_codex,
    "configuration": serve_configuration,
    "handle": is_a_handle,
    "error": is_an_error,
}


def test_the_house_stands_as_drawn() -> None:
    """Each name of the tree in docs/architecture.md is there, and nothing else is."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    drawn = set(re.findall(r"(?:^      |(?<=\.py ))([a-z_]+(?:\.py|/))", text, re.MULTILINE))
    package = ROOT / "server" / "mcp_queue"
    there = {f"{path.name}/" if path.is_dir() else path.name for path in package.iterdir()}
    assert drawn == there - {"py.typed", "__main__.py", "__pycache__/"}


@pytest.mark.needs("uv")
def test_uv_starts_the_demo(tmp_path: Path, user_environment: dict[str, str]) -> None:
    """The README's uvx form."""
    uvx = shutil.which("uvx", path=os.pathsep.join([SCRIPTS, os.environ["PATH"]]))
    assert uvx, "uv brings it"
    copy = fresh_copy(tmp_path / "clone")
    done = subprocess.run(
        [uvx, "--from", ".", "mcp-queue", "demo", "server"],
        cwd=copy,
        env=user_environment,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
