"""Tests that documents name exist, where they are said to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests").rglob("*.py"))
NAMES = {path.name for path in FILES}
TESTS = {name for path in FILES for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
SECURITY = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = [line for line in SECURITY.splitlines() if re.match(r"\| (?!attack|---)", line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:60])
def test_an_attack_names_its_tests(row: str) -> None:
    named = re.findall(r"`([^`]*)`", row.split("|")[-2])
    assert named
    for name in named:
        if name.startswith("test_") and not name.endswith(".py"):
            assert name in TESTS
        elif name.endswith(".py"):
            assert Path(name).name in NAMES
