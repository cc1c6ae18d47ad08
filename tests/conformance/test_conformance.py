"""The protocol's own conformance suite, against a server over HTTP with the commands it wants.

What does not pass stands in ``exceptions.toml``, with the reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import needs, npm
from support.serving import Setup
from support.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.needs("npm")

HERE = Path(__file__).parent
SUITE = "@modelcontextprotocol/conformance"
COMMANDS = [str(HERE / name) for name in ("commands.py", "jobs.py", "unimportable.py")]
TASK_CHECKS = {"2025-11-25": 0, "2026-07-28": 44}  # of the tasks extension's scenarios
GUARD = 600  # seconds

Checks = dict[str, set[str]]
"""The outcomes of each check, by "scenario:check"; some are made several times."""


@pytest.fixture
def suite() -> list[str]:
    """How to start the suite."""
    package = needs.given("npm", npm.package(SUITE))
    return [str(npm.node()), str(package / "dist" / "index.js")]


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_what_does_not_pass_has_its_reason(
    suite: list[str], version: str, tmp_path: Path, record_property: Any
) -> None:
    results = tmp_path / "results"
    # Jobs do not stand back: the suite gives them seconds, on a machine that may be busy.
    setup = Setup(tmp_path, {"niceness": 0, "shutdown_timeout": 1}, COMMANDS)
    # The suite has no way to show a token.
    with WebServer(setup.command, "127.0.0.1:0", "--no-token", raising=["test_error_handling"]) as (
        server
    ):
        log = run(
            suite, "server", "--url", server.url, "--requirements", version, "-o", str(results)
        )
    ran = {scenario_of(folder): read(folder) for folder in results.iterdir()}
    assert set(ran) == listed(suite, version), log
    checks = {f"{name}:{id_}": found for name, each in ran.items() for id_, found in each.items()}
    failing = {name for name, found in checks.items() if not found <= {"SUCCESS", "INFO"}}
    excepted = exceptions(version)
    assert failing - excepted == set(), f"does not pass:\n{log}"
    assert excepted - failing == set(), "passes: take it out of exceptions.toml"
    tasks = [name for name in checks if name.startswith("tasks-") and name not in failing]
    assert len(tasks) == TASK_CHECKS[version], tasks
    record_property("checks", f"{len(checks)}, of which {len(failing)} are excepted")


def run(suite: list[str], *arguments: str) -> str:
    """What the suite prints; its exit status says less than its results."""
    done = subprocess.run(
        [*suite, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GUARD,
        check=False,
    )
    return done.stdout


def listed(suite: list[str], version: str) -> set[str]:
    """The scenarios that the suite has for a version; the tasks extension is of 2026-07-28."""
    lines = re.findall(r"^  - (\S+) \[(.*)\]$", run(suite, "list", "--server"), re.MULTILINE)
    return {
        name
        for name, versions in lines
        if version in versions.split(",") or (version == "2026-07-28" and name.startswith("tasks-"))
    }


def scenario_of(folder: Path) -> str:
    found = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+", folder.name)
    assert found, folder
    return found[1]


def read(folder: Path) -> Mapping[str, set[str]]:
    """The outcomes of a scenario's checks."""
    found: Checks = {}
    for check in json.loads((folder / "checks.json").read_text("utf-8")):
        found.setdefault(check["id"], set()).add(check["status"])
    return found


def exceptions(version: str) -> set[str]:
    entries = tomllib.loads((HERE / "exceptions.toml").read_text("utf-8"))["exception"]
    assert all(entry["reason"] for entry in entries)
    return {name for entry in entries for name in entry.get(version, ())}
