"""The gates: what a change must pass besides its tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARD = 600  # seconds


def run(command: Sequence[str | Path], environ: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_ruff_finds_nothing(user_environment: dict[str, str]):
    run([sys.executable, "-m", "ruff", "check", "."], user_environment)


def test_the_code_is_formatted(user_environment: dict[str, str]):
    run([sys.executable, "-m", "ruff", "format", "--check", "."], user_environment)


@pytest.mark.parametrize("platform", ["Linux", "Darwin", "Windows"])
def test_the_types_hold(user_environment: dict[str, str], platform: str):
    options = ["--pythonplatform", platform, "--pythonpath", sys.executable]
    # The tests use signals and limits of POSIX where they are not skipped.
    checked = [] if platform == "Linux" else ["server", "tools"]
    run([sys.executable, "-m", "pyright", *options, *checked], user_environment)


def test_imports_point_downwards(user_environment: dict[str, str]):
    lint_imports = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    assert lint_imports
    run([lint_imports, "--no-logo"], user_environment)
