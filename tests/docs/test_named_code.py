"""Files, functions and tests that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "server" / "mcp_queue"
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FILE = r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|sql))`"
NAMED = [
    *re.findall(FILE + r":\s+((?:`[\w.]+`(?:, )?)+)", TEXT),
    *re.findall(FILE + r"\s+\(([^)]*`[\w.]+`[^)]*)\)", TEXT),
]
TESTS = re.findall(r"`(tests/[\w/]+(?:\.py)?)`", TEXT)


@pytest.mark.parametrize("path", sorted(set(re.findall(FILE, TEXT)) - set(TESTS)))
def test_a_named_file_exists(path: str) -> None:
    assert (PACKAGE / path).is_file()


def defines(path: str, source: str, name: str) -> bool:
    """Whether a file has this function, class or value; in SQL, this word."""
    if path.endswith(".sql"):
        return re.search(rf"\b{name}\b", source) is not None
    definition = rf"\b(?:def|class) {name}\b|^\s*{name}(?:: [^=\n]+)?(?: =|$)"
    return re.search(definition, source, re.MULTILINE) is not None


@pytest.mark.parametrize(("path", "names"), sorted(set(NAMED)))
def test_what_is_named_with_a_file_is_defined_in_it(path: str, names: str) -> None:
    source = (PACKAGE / path).read_text("utf-8")
    for name in re.findall(r"`(\w+(?:\.\w+)*)`", names):
        for part in name.split("."):
            assert defines(path, source, part), f"{name} in {path}"


@pytest.mark.parametrize("path", sorted(set(TESTS)))
def test_a_named_test_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_map_of_the_tests_names_every_file_of_their_support() -> None:
    text = (ROOT / "tests" / "README.md").read_text("utf-8")
    files = {path.name for path in (ROOT / "tests" / "support").glob("*.py")} - {"__init__.py"}
    named = set(re.findall(r"`(\w+\.py)`", text.partition("## `tests/support`")[2]))
    assert named - {"sitecustomize.py"} == files
