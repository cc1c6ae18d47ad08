"""Row 41: what is ill defined, badly named or stripped of its words takes nothing else along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_queue.builtin import NAMES
from mcp_queue.commands.command import BUILTIN_COMMANDS
from support.rawclient import RawClient
from support.serving import HANDSHAKE, Setup
from support.speaking import MODERN, Speaker, speaking

pytestmark = pytest.mark.needs("schemas")

HEAD = "from mcp_queue import Command, Job, command, prompt, resource\n"
FINE = """
@command
def first(n: int) -> int:
    return n + 1
"""
LAST = """
@command(use_queue=True)
def last(n: int) -> int:
    return n + 2
"""

BY_HAND = """
from mcp_queue import registry
from mcp_queue.commands.info import CommandInfo
"""
ILL_DEFINED = {
    "a generator": ("@command\ndef ill():\n    yield 1", "it yields"),
    "an async generator": ("@command\nasync def ill():\n    yield 1", "it yields"),
    "a bad name": ("@command(name='two words')\ndef ill(): ...", "a name consists of"),
    "a bad option": ("@command(timeout=-1)\ndef ill(): ...", "timeout is a positive number"),
    "an unknown option": ("@command(use_que=True)\ndef ill(): ...", "'use_queue' is meant"),
    "a name that is no option": ("@command('ill')\ndef ill(): ...", "write @command(name='ill')"),
    "a class that is no command": ("@command\nclass Ill: ...", "@command is for functions"),
    "a command without execute": ("class Ill(Command):\n    name = 'ill'", "no execute method"),
    "a class with a bad option": (
        "class Ill(Command):\n    name = 'ill'\n    task = 'sometimes'\n    def execute(self): ...",
        "task is one of",
    ),
    "a duplicate": (
        "@command(name='first')\ndef ill(): ...",
        "Two commands are named 'first'",
    ),
    "a generator as prompt": ("@prompt\ndef ill():\n    yield ''", "it yields"),
    "a prompt with an unknown option": ("@prompt(titel='x')\ndef ill(): ...", "'title' is meant"),
    "a prompt whose name is no option": ("@prompt('x')\ndef ill(): ...", "@prompt(name='x')"),
    "a resource without an address": ("@resource\ndef ill(): ...", "its address is missing"),
    "a resource with a bad address": ("@resource('ill')\ndef ill(): ...", "begins with a scheme"),
    "a resource with an unknown option": (
        "@resource('ill://x', mime='text/html')\ndef ill(): ...",
        "'mime_type' is meant",
    ),
    "a built-in's name": ("@command\ndef queue_health() -> str: ...", "choose another"),
    "a built-in's name by option": (
        "@command(name='queue_wait_job', use_queue=True)\ndef ill(): ...",
        "choose another",
    ),
    "a built-in's name of a class": (
        "class Ill(Command):\n    name = 'queue_add_job'\n    def execute(self): ...",
        "choose another",
    ),
    "a prompt of the queue": ("@prompt\ndef diagnose_job() -> str: ...", "choose another"),
    "a built-in's name by hand": (
        BY_HAND + "registry.register(CommandInfo('queue_stop_job', lambda: None))",
        "Two commands are named 'queue_stop_job'",
    ),
    "a duplicate by hand": (
        BY_HAND + "registry.register(CommandInfo('first', lambda: None))",
        "Two commands are named 'first'",
    ),
    "no command by hand": (
        BY_HAND + "def ill(): ...\nregistry.register(ill)",
        "'ill' is not well defined: it is registered, but is no command",
    ),
}
"""Definitions, and words of what is said of them."""

NOT_OFFERED = {
    "a positional parameter": (
        "@command\ndef ill(x, /): ...",
        "positional-only",
    ),
    "an annotation that is nowhere": (
        "@command\ndef ill(x: 'Nowhere'): ...",
        "cannot be resolved",
    ),
    "a type without a schema": (
        "import threading\n@command\ndef ill(x: threading.Lock): ...",
        "no JSON Schema",
    ),
    "a queued one": (
        "import threading\n@command(use_queue=True)\ndef ill(x: threading.Thread): ...",
        "no JSON Schema",
    ),
    "a reserved parameter": ("@command\ndef ill(job: str): ...", "always gets the Job"),
    "a class": (
        "class Ill(Command):\n    name = 'ill'\n    def execute(self, *x): ...",
        "callers give names",
    ),
}


@pytest.fixture
def defined(tmp_path: Path) -> Setup:
    """A server that loads one file, `tools`."""
    setup = Setup(tmp_path, {}, [])
    setup.commands.append(str(tools(setup)))
    return setup


def tools(setup: Setup) -> Path:
    return setup.folder / "tools.py"


def begin(client: RawClient) -> None:
    client.request("initialize", HANDSHAKE)
    client.notify("notifications/initialized")


def call(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    return json.loads(answer["result"]["content"][0]["text"])


def listed(client: RawClient) -> set[str]:
    return {tool["name"] for tool in client.request("tools/list")["result"]["tools"]}


def all_serve(client: RawClient) -> None:
    assert listed(client) > {"first", "last"} | NAMES
    assert call(client, "first", n=1) == {"result": 2}
    job_id = call(client, "last", n=1)["job_id"]
    [job] = call(client, "queue_wait_job", job_ids=job_id)["jobs"]
    assert job["result"] == 3


def problem(client: RawClient) -> str:
    """The only one, which health tells in both ways."""
    view = call(client, "queue_health")
    read = client.request("resources/read", {"uri": "queue://health"})["result"]["contents"]
    [said] = view["problems"]
    assert json.loads(read[0]["text"])["problems"] == [said]
    return said


def test_row_41_the_names_of_the_queue_are_known() -> None:
    assert frozenset(BUILTIN_COMMANDS) == NAMES


@pytest.mark.parametrize("what", ILL_DEFINED)
def test_row_41_an_ill_defined_command_is_refused_alone(defined: Setup, what: str) -> None:
    text, words = ILL_DEFINED[what]
    tools(defined).write_text(HEAD + FINE + "\n" + text + "\n" + LAST, "utf-8")
    with RawClient(defined.command) as client:
        begin(client)
        all_serve(client)
        said = problem(client)
    assert client.stderr == f"mcp-queue: {said}\n"
    assert words in said
    assert str(tools(defined)) in said
    if "by hand" not in what:
        assert said.startswith(f"{tools(defined)}, line {line_of(text)}: ")


def test_row_41_what_is_executed_can_be_called(defined: Setup) -> None:
    ill = "class Ill(Command):\n    name = 'ill'\n    execute = property(lambda self: 1)\n"
    tools(defined).write_text(HEAD + FINE + ill + LAST, "utf-8")
    with RawClient(defined.command) as client:
        begin(client)
        all_serve(client)
        assert "execute is a method, got <property" in problem(client)


def line_of(text: str) -> int:
    """Where the definition begins in the file that the test above writes."""
    marked = ("@command", "@prompt", "@resource", "class ")
    before = (HEAD + FINE + "\n").count("\n")
    return before + next(
        number for number, line in enumerate(text.splitlines(), 1) if line.startswith(marked)
    )


@pytest.mark.parametrize("what", NOT_OFFERED)
def test_row_41_what_cannot_be_offered_is_not_listed_and_says_why(
    defined: Setup, what: str
) -> None:
    text, words = NOT_OFFERED[what]
    tools(defined).write_text(HEAD + FINE + "\n" + text + "\n" + LAST, "utf-8")
    with RawClient(defined.command) as client:
        begin(client)
        all_serve(client)
        assert "ill" not in listed(client)
        for arguments in ({}, {"x": 1}, {"x": [1]}):
            error = call(client, "ill", **arguments)["error"]
            assert error["code"] == "invalid_command"
            assert words in error["message"]
        refused = client.request("tools/call", {"name": "ill", "arguments": [1]})
        assert "invalid_command" in json.dumps(refused)
        said = problem(client)
        assert words in said
    assert f"{tools(defined)}, line " in said
    assert client.stderr == f"mcp-queue: {said}\n"


def test_row_41_many_at_once(defined: Setup) -> None:
    parts = [text for text, _ in {**ILL_DEFINED, **NOT_OFFERED}.values()]
    tools(defined).write_text(HEAD + FINE + "\n" + "\n".join(parts) + "\n" + LAST, "utf-8")
    with RawClient(defined.command) as client:
        begin(client)
        all_serve(client)
        problems = call(client, "queue_health")["problems"]
        for _, words in ILL_DEFINED.values():
            assert any(words in each for each in problems), words
    assert all(each in client.stderr for each in problems)


def test_row_41_nothing_wrong_nothing_said(defined: Setup) -> None:
    tools(defined).write_text(HEAD + FINE + LAST, "utf-8")
    with RawClient(defined.command) as client:
        begin(client)
        all_serve(client)
        assert "problems" not in call(client, "queue_health")
    assert client.stderr == ""


@pytest.mark.parametrize(
    "text", ["1 / 0", "import no_such_module_at_all", "def x(:", "raise SystemExit(3)"]
)
def test_row_41_a_file_that_fails_to_load_stands_in_health(defined: Setup, text: str) -> None:
    other = defined.folder / "other.py"
    other.write_text(text + "\n", "utf-8")
    tools(defined).write_text(HEAD + FINE + LAST, "utf-8")
    defined.commands.insert(0, str(other))
    with RawClient(defined.command) as client:
        begin(client)
        all_serve(client)
        said = problem(client)
    assert f"{other}, line 1" in said
    assert client.stderr == f"mcp-queue: {said}\n"
    assert client.wait() == 0


@pytest.mark.parametrize(
    "texts", [["1 / 0"], ["1 / 0", "x = ("], [HEAD + "@command('x')\ndef x(): ..."]]
)
def test_row_41_the_status_says_that_nothing_could_be_loaded(
    defined: Setup, texts: list[str]
) -> None:
    defined.commands.clear()
    for number, text in enumerate(texts):
        file = defined.folder / f"broken_{number}.py"
        file.write_text(text + "\n", "utf-8")
        defined.commands.append(str(file))
    client = RawClient(defined.command)
    with client:
        begin(client)
        assert call(client, "queue_health")["status"] == "healthy"
    assert client.wait() == 1


# PYTHONOPTIMIZE=2 strips the docstrings that messages and descriptions are made of.

DOCUMENTED = (
    HEAD
    + '''
@command(use_queue=True)
def work(n: float = 1) -> str:
    """Do the work.

    Args:
        n: How much of it.
    """
    return "done"

class Plain(Command):
    """Shown if execute says nothing."""
    name = "plain"
    def execute(self, n: int) -> int:
        """Do it at once.

        Args:
            n: The number.
        """
        return n

@command
def undocumented() -> str:
    return ""

@prompt
def asks(day: str) -> str:
    """Ask about a day."""
    return day

@resource("notes://{day}")
def notes(day: str) -> str:
    """Notes of a day."""
    return day

@command(use_queue=True)
def fails_in_the_worker(job: Job) -> str:
    job.artifact("../x", b"")
    return ""

def factory():
    @command
    def made() -> str:
        """Made by a function."""
        return ""
factory()
'''
)


def described(speaker: Speaker) -> dict[str, Any]:
    """All that docstrings say."""
    tools = speaker.request("tools/list")["tools"]
    prompts = speaker.request("prompts/list")["prompts"]
    templates = speaker.request("resources/templates/list")["resourceTemplates"]
    commands = speaker.request("resources/read", uri="queue://commands")["contents"][0]["text"]
    return {
        "tools": {tool["name"]: (tool["description"], tool["inputSchema"]) for tool in tools},
        "prompts": {prompt["name"]: prompt["description"] for prompt in prompts},
        "templates": {each["uriTemplate"]: each["description"] for each in templates},
        "commands": json.loads(commands),
    }


def errors(speaker: Speaker) -> list[Any]:
    """What goes wrong, in the words of errors of each process."""

    def told(tool: str, **arguments: Any) -> Any:
        return json.loads(speaker.call(tool, **arguments)["content"][0]["text"])

    job_id = told("fails_in_the_worker")["job_id"]
    [job] = told("queue_wait_job", job_ids=job_id)["jobs"]
    return [
        told("queue_get_job_status", job_id="zzz")["error"],
        told("work", n="bad")["error"],
        told("queue_add_job", command="wrok")["error"],
        told("search_classes", query="x", root_dir="/no/such/folder")["error"],
        job["error"],
        speaker.refused("prompts/get", name="asks"),
        speaker.refused("resources/read", uri="notes://"),
    ]


def test_row_41_stripped_docstrings(defined: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without, all is described and said in the same words."""
    tools(defined).write_text(DOCUMENTED, "utf-8")
    said: list[tuple[dict[str, Any], list[Any]]] = []
    for optimize in ("0", "2"):
        monkeypatch.setenv("PYTHONOPTIMIZE", optimize)
        with speaking(defined, MODERN) as speaker:
            said.append((described(speaker), errors(speaker)))
    assert said[1] == said[0]
    shown, failed = said[1]
    assert shown["tools"]["work"][0] == "Do the work."
    assert shown["tools"]["plain"][0] == "Shown if execute says nothing."
    assert shown["tools"]["plain"][1]["properties"]["n"]["description"] == "The number."
    assert shown["tools"]["made"][0] == "Made by a function."
    assert "better than asking" in shown["tools"]["queue_wait_job"][0]
    assert "zzz" in failed[0]["message"]
    assert "cannot be kept" in failed[4]["message"]


def test_row_41_an_uncaught_error_shows_its_hint(defined: Setup) -> None:
    """Python prints it as a note (PEP 678)."""
    tools(defined).write_text(
        HEAD + "@command(use_queue=True)\ndef work():\n"
        "    from mcp_queue import get_global_queue_manager\n"
        "    get_global_queue_manager()\n",
        "utf-8",
    )
    with speaking(defined, MODERN) as speaker:
        job_id = speaker.call("work")["structuredContent"]["job_id"]
        speaker.call("queue_wait_job", job_ids=job_id)
        logs = speaker.call("queue_get_job_logs", job_id=job_id)["structuredContent"]
    assert any("init_global_queue_manager()" in line for line in logs["stderr"])
