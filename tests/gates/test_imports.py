"""No circle of modules, and no import in a function without a reason (`docs/architecture.md`)."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from support.import_graph import Import, ImportGraph, Kind

ROOT = Path(__file__).parents[2]
GUARD = 60  # seconds
CIRCLES = [
    [
        "mcp_queue.commands.arguments",
        "mcp_queue.commands.asking",
        "mcp_queue.commands.form_schema",
        "mcp_queue.commands.job",
        "mcp_queue.commands.signature",
    ],
    ["mcp_queue.worker.artifacts", "mcp_queue.worker.questions", "mcp_queue.worker.reporter"],
]
"""Those that are still to be untied."""
LATE = {"mcp_queue.commands.asking", "mcp_queue.commands.job", "mcp_queue.worker.reporter"}
"""The modules of these circles whose late imports are still to go to the top."""


@cache
def graph() -> ImportGraph:
    return ImportGraph(ROOT / "server" / "mcp_queue")


def table(first: str) -> list[list[str]]:
    """The rows of the table whose header begins so, in the section on late imports."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("\n## Late imports\n")[2].partition("\n## ")[0]
    body = section.partition(f"\n| {first} |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in body.splitlines()[2:]]
    assert rows, f"no table that begins with {first!r}"
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def heavy() -> set[str]:
    return {name for row in table("module | why") for name in names(row[0])}


def rare() -> set[str]:
    return {name for row in table("module | the path") for name in names(row[0])}


def late() -> list[Import]:
    return [each for each in graph().imports if each.kind is Kind.FUNCTION]


def brings(each: Import) -> set[str]:
    """What is heavy of that which comes with it, and is not in its file's imports."""
    new = graph().at_module_level(each.imported) - graph().at_module_level(each.importer)
    return {h for h in heavy() for module in new if f"{module}.".startswith(f"{h}.")}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert graph().circles() == CIRCLES


def test_an_import_in_a_function_brings_what_is_heavy_or_rare() -> None:
    known = rare()
    unfounded = [
        f"{each.importer}, line {each.line}: {each.imported}"
        for each in late()
        if each.importer not in LATE and each.imported not in known and not brings(each)
    ]
    assert not unfounded, "these belong at the top of their files:\n" + "\n".join(unfounded)


def test_the_tables_name_nothing_that_no_import_in_a_function_brings() -> None:
    brought = {name for each in late() for name in brings(each)}
    assert heavy() - brought == set()
    assert rare() - {each.imported for each in late()} == set()


@pytest.mark.parametrize("row", table("process | module"), ids=lambda row: names(row[1])[0])
def test_what_is_light_stays_so(row: list[str]) -> None:
    (module,), without = names(row[1]), names(row[2])
    code = f"import sys, {module}; print(*sorted({set(without)!r} & sys.modules.keys()))"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=GUARD,
    )
    assert shown.stdout.strip() == ""
