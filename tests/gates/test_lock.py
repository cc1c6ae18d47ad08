"""The lock file holds what ``pyproject.toml`` asks for, and every dependency has an upper bound."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements-dev.txt").read_text("utf-8")
PINNED = dict(re.findall(r"^([\w.-]+)==([^ ]+)", LOCK, re.MULTILINE))
RUNTIME = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
DEVELOPMENT = [Requirement(each) for each in PROJECT["project"]["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("asked", RUNTIME + DEVELOPMENT, ids=lambda asked: asked.name)
def test_a_dependency_has_an_upper_bound_and_its_pin_fits(asked: Requirement):
    operators = {bound.operator for bound in asked.specifier}
    assert operators & {"<", "<=", "=="}, "give it an upper bound in pyproject.toml"
    assert asked.specifier.contains(PINNED[asked.name]), "run: python -m tests.lock"


def test_every_pinned_file_has_a_hash_and_no_index_is_named():
    assert len(PINNED) <= LOCK.count("--hash=sha256:")
    assert "://" not in LOCK
