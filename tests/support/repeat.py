"""A pytest plugin: each test many times, in full numbers, or beside busy processes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = [sys.executable, "-c", "while True: pass"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeat", type=int, default=1, metavar="N", help="run each test N times (default: 1)"
    )
    parser.addoption(
        "--thorough", action="store_true", help="run the rows of faults in their full numbers"
    )
    parser.addoption(
        "--burn",
        type=int,
        nargs="?",
        const=1,
        default=0,
        metavar="N",
        help="run beside N processes that never rest (without N: 1)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rounds: int = metafunc.config.getoption("--repeat") or 1
    if rounds > 1:
        metafunc.fixturenames.append("_round")
        metafunc.parametrize("_round", range(1, rounds + 1), ids=lambda n: f"round {n}")


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether a test that takes minutes in its full numbers may take them."""
    return bool(pytestconfig.getoption("--thorough"))


@pytest.fixture(scope="session", autouse=True)
def _burn(pytestconfig: pytest.Config, session_leak_check: None) -> Iterator[None]:
    count: int = pytestconfig.getoption("--burn") or 0
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        count = 0
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(BUSY))
            stack.callback(process.kill)
        yield
