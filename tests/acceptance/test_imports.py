"""Nothing is imported from where a process happens to run; plugins keep their place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.guards import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = str(Path(sys.executable).with_name("mcp-queue"))
MODULE = """
from mcp_queue import command

@command
def {name}() -> str:
    return "{name} of {where}"
"""
JOB = """
from mcp_queue import command

@command(use_queue=True)
def path_of_a_job() -> list:
    import os, sys
    return [sys.path, os.environ.get("PYTHONPATH")]
"""
# Names the process that imported it; then it is the true module.
TRAP = """
import os, sys
with open({note!r}, "a") as file:
    print(__name__, os.getpid(), *sys.orig_argv, file=file)
here, path = os.path.realpath(os.path.dirname(__file__)), sys.path[:]
sys.path[:] = [each for each in path if os.path.realpath(each or ".") != here]
if __name__ in sys.stdlib_module_names:
    del sys.modules[__name__]
    __import__(__name__)
sys.path[:] = path
"""
TRAPS = (
    *("json", "sitecustomize", "usercustomize", "random", "selectors", "apsw", "mcp_queue"),
    *("fqdn", "webcolors", "brotli", "zstandard"),  # what packages try to import
)


def lay_traps(folder: Path, note: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in TRAPS:
        (folder / f"{name}.py").write_text(TRAP.format(note=str(note)), "utf-8")


def caught(note: Path) -> list[str]:
    """Command lines of the processes that have imported one of the traps."""
    return note.read_text("utf-8").splitlines() if note.exists() else []


def ended(client: RawClient, tool: str) -> dict[str, Any]:
    job_id = call(client, tool)["job_id"]
    answer = call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=GUARD)
    assert not answer["timed_out"]
    return answer["jobs"][0]


def problems(client: RawClient) -> str:
    return "\n".join(call(client, "queue_health").get("problems", []))


@pytest.mark.parametrize("started", ["script", "module"])
def test_the_demo_in_a_hostile_folder(tmp_path: Path, started: str) -> None:
    note, folder = tmp_path / "note", tmp_path / "cloned"
    lay_traps(folder, note)
    command = [SCRIPT]
    if started == "module":
        command = [sys.executable, "-m", "mcp_queue"]
        (folder / "mcp_queue.py").unlink()  # `python -m` itself would find it
    demo = subprocess.run(
        [*command, "demo", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert caught(note) == []


@pytest.mark.parametrize("entry", ["", ".", "lib", "./lib", "../cloned"])
def test_a_relative_search_path(tmp_path: Path, entry: str) -> None:
    """Of a server whose PYTHONPATH holds it (``$PYTHONPATH:/x`` does when there was none), Python
    itself imports from there; supervisor and worker do not, until the job's path is set."""
    note, folder = tmp_path / "note", tmp_path / "cloned"
    lay_traps(folder, note)
    lay_traps(folder / "lib", note)
    (tmp_path / "cmds.py").write_text(JOB, "utf-8")
    # Traps that the server must survive; the others are for the processes below it.
    for where in (folder, folder / "lib"):
        (where / "mcp_queue.py").unlink()
        (where / "apsw.py").unlink()
    before = f"{entry}:{tmp_path}"
    with RawClient(
        [SCRIPT, "serve", "--commands", tmp_path / "cmds.py"],
        cwd=folder,
        env={"PYTHONPATH": before},
    ) as client:
        greet(client)
        view = ended(client, "path_of_a_job")
        assert view["status"] == "completed", view
        path, variable = view["result"]
        assert str((folder / entry).resolve()) in path
        assert variable == before
        server = str(client.pid)
        if sys.platform == "linux":  # it runs in the root folder, where no trap can be laid
            supervisor = call(client, "queue_health")["supervisor"]["pid"]
            environ = Path(f"/proc/{supervisor}/environ").read_bytes().split(b"\0")
            assert f"PYTHONPATH={tmp_path}".encode() in environ
    assert [line for line in caught(note) if line.split()[1] != server] == []


def install(site: Path, package: str, version: str, **modules: str) -> None:
    """A package whose modules are plugins, as an installer leaves it."""
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8"
    )
    points = "".join(f"{name} = {name}\n" for name in modules)
    (info / "entry_points.txt").write_text(f"[mcp_queue.commands]\n{points}", "utf-8")
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text, "utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages: two plugins, and one that cannot be imported."""
    folder = tmp_path / "site"
    install(folder, "Good.Tools", "1.2", good_tools=MODULE.format(name="good", where="plugin"))
    install(folder, "more-tools", "3", more_tools=MODULE.format(name="more", where="plugin"))
    install(folder, "broken-tools", "0.1", broken_tools="raise OSError('no licence')\n")
    return folder


def server(site: Path, *arguments: str | Path) -> Callable[..., RawClient]:
    def start(**env: str) -> RawClient:
        return RawClient([SCRIPT, "serve", *arguments], env={"PYTHONPATH": str(site), **env})

    return start


def plugins(client: RawClient) -> dict[str, dict[str, Any]]:
    return {each["package"]: each for each in call(client, "queue_health")["plugins"]}


def tools(client: RawClient) -> set[str]:
    return {tool["name"] for tool in client.request("tools/list")["result"]["tools"]}


def test_plugins_are_listed(site: Path) -> None:
    with server(site)() as client:
        greet(client)
        assert {"good", "more", "analyze_project", "queue_health"} <= tools(client)
        found = plugins(client)
        assert found["Good.Tools"] == {
            "package": "Good.Tools",
            "version": "1.2",
            "state": "on",
            "commands": ["good"],
        }
        assert found["mcp-queue"]["commands"] == [
            "analyze_project",
            "search_classes",
            "search_code",
        ]
        assert (found["broken-tools"]["state"], found["broken-tools"]["commands"]) == ("failed", [])
        assert "no licence" in problems(client)
        assert "broken_tools.py, line 1" in client.stderr


@pytest.mark.parametrize("by", ["flag", "environment"])
@pytest.mark.parametrize(
    ("value", "on"),
    [
        ("none", set[str]()),
        ("good_tools", {"Good.Tools"}),
        ("mcp-queue, GOOD-TOOLS", {"mcp-queue", "Good.Tools"}),
        ("all", {"mcp-queue", "Good.Tools", "more-tools", "broken-tools"}),
    ],
)
def test_plugins_are_chosen(site: Path, by: str, value: str, on: set[str]) -> None:
    flags = ["--plugins", value] if by == "flag" else []
    env = {"MCP_QUEUE_PLUGINS": value} if by == "environment" else {}
    with server(site, *flags)(**env) as client:
        greet(client)
        found = plugins(client)
        assert {name for name, each in found.items() if each["state"] != "off"} == on
        assert ("good" in tools(client)) == ("Good.Tools" in on)
        assert ("more" in tools(client)) == ("more-tools" in on)
        assert ("analyze_project" in tools(client)) == ("mcp-queue" in on)
        assert {"queue_health", "queue_wait_job"} <= tools(client)
        if "broken-tools" not in on:  # what is off is not imported
            assert client.stderr == ""


@pytest.mark.parametrize("value", ["none,mcp-queue", "all,mcp-queue", "all,none"])
def test_all_and_none_stand_alone(site: Path, value: str) -> None:
    with server(site, "--plugins", value)() as client:
        greet(client)
        on = {name for name, each in plugins(client).items() if each["state"] != "off"}
        assert on == ({"mcp-queue"} if "mcp-queue" in value else set())
        said = [each for each in call(client, "queue_health")["problems"] if "plugins" in each]
    words = [word for word in value.split(",") if word in ("all", "none")]
    assert len(said) == len(words)
    assert all("all and none stand alone, not in a list of names" in each for each in said)


def test_a_name_that_no_plugin_has(site: Path) -> None:
    with server(site, "--plugins", "good-tools,nobody")() as client:
        greet(client)
        [problem] = call(client, "queue_health")["problems"]
        assert "'plugins' (nobody) is ignored: no installed package" in problem
        assert "Good.Tools" in problem
        assert client.stderr == f"mcp-queue: {problem}\n"
        assert "good" in tools(client)


TAKER = """
from mcp_queue import command, registry
from mcp_queue.commands.info import CommandInfo

registry.unregister("mine")

@command
def mine() -> str:
    return "mine of plugin"

@command
def good() -> str:
    return "good of plugin"

def taken() -> str:
    return "taken of plugin"

registry.register(CommandInfo("queue_list_jobs", taken))
"""
TAKER_OF_A_PROMPT = """
from mcp_queue import registry
from mcp_queue.commands.info import CommandInfo
registry.register_prompt(CommandInfo("diagnose_job", lambda: "taken"))
"""


def test_a_plugin_takes_no_name(tmp_path: Path) -> None:
    site, mine = tmp_path / "site", tmp_path / "mine.py"
    install(site, "taker", "1", taker_tools=TAKER)
    install(site, "taker-of-a-prompt", "1", taker_of_a_prompt=TAKER_OF_A_PROMPT)
    mine.write_text(MODULE.format(name="mine", where="me"), "utf-8")
    with server(site, "--commands", mine)() as client:
        greet(client)
        assert call(client, "mine") == {"result": "mine of me"}
        assert call(client, "good") == {"result": "good of plugin"}
        assert call(client, "queue_list_jobs") == {"success": True, "jobs": []}
        assert "'queue_list_jobs'" in problems(client)
        assert plugins(client)["taker"]["commands"] == ["good"]
        assert plugins(client)["taker"]["left_out"] == ["mine"]
        assert "the queue has a prompt of this name" in problems(client)
        answer = client.request("prompts/get", {"name": "diagnose_job", "arguments": {}})
        assert "needs the argument job_id" in answer["error"]["message"]
        names = [each["name"] for each in client.request("prompts/list")["result"]["prompts"]]
        assert names.count("diagnose_job") == 1


@pytest.mark.parametrize("started", ["script", "module"])
def test_metadata_in_the_working_folder_is_no_plugin(tmp_path: Path, started: str) -> None:
    """The folder is on the search path for a module that is named, and beside a named file."""
    here = tmp_path / "cloned"
    harm = f"open({str(tmp_path / 'harm')!r}, 'w').close()\n"
    install(here, "evil", "1", evil_tools=harm)
    (here / "own.py").write_text(MODULE.format(name="own", where="here"), "utf-8")
    (here / "file.py").write_text(MODULE.format(name="other", where="here"), "utf-8")
    command = [SCRIPT] if started == "script" else [sys.executable, "-m", "mcp_queue"]
    arguments = ["serve", "--commands", "own", "--commands", "file.py"]
    with RawClient([*command, *arguments], cwd=here) as client:
        greet(client)
        assert {"own", "other"} <= tools(client)
        assert "evil" not in plugins(client)
    assert not (tmp_path / "harm").exists()


SHOW = """
import sys
from mcp_queue import command

@command
def shown() -> list:
    return sys.path
"""


@pytest.mark.parametrize("started", ["script", "module"])
def test_the_working_folder_is_for_modules_that_are_nowhere_else(
    tmp_path: Path, site: Path, started: str
) -> None:
    """An installed module does not open the working folder to what packages try to import."""
    (site / "installed_commands.py").write_text(SHOW, "utf-8")
    here = tmp_path / "cloned"
    here.mkdir()
    start = [SCRIPT] if started == "script" else [sys.executable, "-m", "mcp_queue"]
    command = [*start, "serve", "--commands", "installed_commands"]
    with RawClient(command, cwd=here, env={"PYTHONPATH": str(site)}) as client:
        greet(client)
        assert str(here) not in call(client, "shown")["result"]
