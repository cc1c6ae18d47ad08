"""Files of authors whose names are taken: by modules that we or the standard library import."""

from __future__ import annotations

import email
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from collections.abc import Callable

TAKEN = [
    # what the server, the supervisor and the worker import, early and late
    "abc", "anyio", "argparse", "asyncio", "copy", "email", "inspect", "json", "logging", "mcp",
    "pydantic", "queue", "random", "secrets", "select", "signal", "socket", "statistics", "string",
    "subprocess", "tempfile", "threading", "time", "token", "traceback", "types", "typing", "uuid",
]  # fmt: skip
SAYS = """
from mcp_queue import command
import helpers_of_ours

@command
def plain() -> str:
    import email.message, queue, statistics  # the true ones
    return helpers_of_ours.text(email.message, queue, statistics)

@command(use_queue=True)
def queued() -> str:
    import email.message, queue, statistics
    return helpers_of_ours.text(email.message, queue, statistics)
"""
HELPERS = """
import os
HERE = os.path.dirname(os.path.abspath(__file__))

def text(*modules):
    assert not any(os.path.dirname(each.__file__) == HERE for each in modules), modules
    return "helped"
"""
HARM = "raise SystemExit('a file of the author shadows a module')\n"


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def shadows() -> dict[str, str]:
    """A module and a package, by turns, under each name that is taken."""
    names = [f"{name}/__init__.py" if i % 3 else f"{name}.py" for i, name in enumerate(TAKEN)]
    return dict.fromkeys(names, HARM)


def serve(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "mcp_queue", "serve", *map(str, arguments)]


def script(*arguments: str | Path) -> list[str]:
    return [str(Path(sys.executable).with_name("mcp-queue")), "serve", *map(str, arguments)]


def ended(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    job_id = call(client, tool, **arguments)["job_id"]
    answer = call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=GUARD)
    assert not answer["timed_out"]
    return answer["jobs"][0]


def both_work(client: RawClient) -> None:
    greet(client)
    assert call(client, "plain") == {"result": "helped"}
    view = ended(client, "queued")
    assert (view["status"], view.get("result")) == ("completed", "helped"), view
    assert call(client, "queue_health")["status"] == "healthy"


def test_row_41_files_beside_the_commands(tmp_path: Path) -> None:
    write(tmp_path, {**shadows(), "cmds.py": SAYS, "helpers_of_ours.py": HELPERS})
    with RawClient(serve("--commands", tmp_path / "cmds.py")) as client:
        both_work(client)


@pytest.mark.parametrize("name", ["queue", "json", "logging", "asyncio", "anyio", "traceback"])
def test_row_41_the_file_of_the_commands_itself(tmp_path: Path, name: str) -> None:
    write(tmp_path, {f"{name}.py": SAYS, "helpers_of_ours.py": HELPERS})
    with RawClient(serve("--commands", tmp_path / f"{name}.py")) as client:
        both_work(client)


# `python -m` itself imports some modules before anything of ours runs.
OF_PYTHON = {"abc", "types", "token", "time"}


@pytest.mark.parametrize("started", [serve, script])
def test_row_41_files_in_the_working_folder(
    tmp_path: Path, started: Callable[..., list[str]]
) -> None:
    files = {name: text for name, text in shadows().items() if _module(name) not in OF_PYTHON}
    write(tmp_path, {**files, "cmds.py": SAYS, "helpers_of_ours.py": HELPERS})
    with RawClient(started("--commands", "cmds"), cwd=tmp_path) as client:
        both_work(client)


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__")


@pytest.mark.parametrize("started", [serve, script])
def test_row_41_the_working_folder_is_left_out_where_python_is_told_to(
    tmp_path: Path, started: Callable[..., list[str]]
) -> None:
    write(tmp_path, {"own_module_of_mine.py": SAYS, "helpers_of_ours.py": HELPERS})
    command = started("--commands", "own_module_of_mine")
    with RawClient(command, cwd=tmp_path, env={"PYTHONSAFEPATH": "1"}) as client:
        greet(client)
        assert "No module named 'own_module_of_mine'" in client.stderr


MOVES = """
import os
from mcp_queue import command
os.chdir({elsewhere!r})

@command(use_queue=True)
def moved() -> str:
    return os.getcwd()
"""


@pytest.mark.parametrize("started", [serve, script])
def test_row_41_a_module_that_changes_the_folder(
    tmp_path: Path, started: Callable[..., list[str]]
) -> None:
    start, elsewhere = tmp_path / "start", tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(start, {"a.py": MOVES.format(elsewhere=str(elsewhere)), "b.py": SAYS})
    write(start, {"own_c.py": SAYS.replace("def ", "def c_"), "helpers_of_ours.py": HELPERS})
    with RawClient(
        started("--commands", "a.py", "--commands", "b.py", "--commands", "own_c"), cwd=start
    ) as client:
        both_work(client)
        assert call(client, "c_plain") == {"result": "helped"}
        assert ended(client, "c_queued")["result"] == "helped"
        assert ended(client, "moved")["result"] == os.path.realpath(elsewhere)


@pytest.mark.parametrize("name", ["Smith, John", "a:b", "a;b", "trailing ,", "[list]"])
def test_row_41_separators_in_a_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    write(folder, {"cmds.py": SAYS, "helpers_of_ours.py": HELPERS})
    with RawClient(serve("--commands", folder / "cmds.py")) as client:
        both_work(client)
    with RawClient(serve(), env={"MCP_QUEUE_COMMANDS": str(folder / "cmds.py")}) as client:
        both_work(client)


RELATIVE = """
from mcp_queue import command
from .inner import deep
from . import helpers_of_ours as helpers

@command
def plain() -> str:
    return helpers.text() + deep.WORD

@command(use_queue=True)
def queued() -> str:
    return helpers.text() + deep.WORD
"""
PACKAGE = {
    "__init__.py": "",
    "helpers_of_ours.py": HELPERS,
    "inner/__init__.py": "",
    "inner/deep.py": "from ..helpers_of_ours import text\nWORD = ''\n",
}


ABSOLUTE = RELATIVE.replace("from . ", "from own_pack ").replace("from .", "from own_pack.")


@pytest.mark.parametrize("text", [RELATIVE, ABSOLUTE])
def test_row_41_a_file_of_a_package(tmp_path: Path, text: str) -> None:
    write(tmp_path / "own_pack", {**PACKAGE, "cmds.py": text})
    with RawClient(serve("--commands", tmp_path / "own_pack" / "cmds.py")) as client:
        both_work(client)


def test_row_41_a_package_whose_name_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "email" / "cmds.py"
    write(tmp_path / "email", {**PACKAGE, "cmds.py": RELATIVE})
    write(tmp_path, {"fine.py": SAYS, "helpers_of_ours.py": HELPERS})
    with RawClient(serve("--commands", path, "--commands", tmp_path / "fine.py")) as client:
        both_work(client)
        [line] = [line for line in client.stderr.splitlines() if "belongs to" in line]
        assert "'email'" in line
        assert str(tmp_path / "email" / "__init__.py") in line
        assert str(email.__file__) in line
