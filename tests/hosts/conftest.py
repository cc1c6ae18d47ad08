"""Other people's clients as programs that print what they see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import needs, npm, pypi
from support.serving import COMMANDS, Setup

HERE = Path(__file__).parent
GUARD = 300  # seconds, for all that a client does
Seen = dict[str, list[Any]]
"""What a client printed: by the event's name, the values in their order."""


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    settings = {"in_memory": False, "registry_path": str(tmp_path / "registry.db")}
    return Setup(tmp_path, settings, [COMMANDS, str(HERE / "commands.py")])


@pytest.fixture
def javascript(setup: Setup) -> Callable[..., Seen]:
    """Runs a script of ``clients`` that uses npm packages, beside a link to the packages."""

    def run(script: str, *packages: str, **options: Any) -> Seen:
        for name in packages:
            needs.given("npm", npm.package(name))
        folder = setup.folder / "client"
        shutil.copytree(HERE / "clients", folder)
        modules = npm.folder() / "node_modules"
        (folder / "node_modules").symlink_to(modules, target_is_directory=True)
        return _run([npm.node(), folder / script], setup, options)

    return run


@pytest.fixture
def fastmcp(setup: Setup) -> Callable[..., Seen]:
    """Runs the script of FastMCP's client in its virtual environment."""
    python = needs.given("fastmcp", pypi.fastmcp_python())

    def run(**options: Any) -> Seen:
        return _run([python, HERE / "clients" / "fastmcp_client.py"], setup, options)

    return run


def _run(program: list[Path], setup: Setup, options: dict[str, Any]) -> Seen:
    command, *arguments = setup.command
    server = {"command": command, "args": arguments, "cwd": str(setup.folder)}
    described = {"server": server, "options": {"gate": str(setup.gate("gate")), **options}}
    done = subprocess.run(
        [*program, json.dumps(described)],
        env={**os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen: Seen = defaultdict(list)
    for event, value in map(json.loads, done.stdout.splitlines()):
        seen[event].append(value)
    return seen
