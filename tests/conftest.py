"""What all tests share: the leak check, the event loop, Hypothesis's patience."""

from __future__ import annotations

import compileall
import os

import hypothesis
import pytest

pytest_plugins = ["support.leaks", "support.needs", "support.repeat", "support.fixtures"]

# They need a system package; `python -m tests.browser` runs them.
collect_ignore = [] if os.environ.get("TESTS_IN_A_BROWSER") else ["browser"]

# A slow machine is no finding; the guards of the tests bound the time.
hypothesis.settings.register_profile("mcp-queue", deadline=None)
hypothesis.settings.load_profile("mcp-queue")


def pytest_configure(config: pytest.Config) -> None:
    """Compile what the processes of the tests import, as an installer does.

    Where no bytecode may be written (``PYTHONDONTWRITEBYTECODE``), each process would do it again.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        for folder in ("server", "tools", "tests/support"):
            compileall.compile_dir(config.rootpath / folder, quiet=2)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded: times are recorded, not asserted."""
    recorded = [
        (report.nodeid, *recording)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for recording in report.user_properties
    ]
    if recorded:
        terminalreporter.section("recorded")
        for test, name, value in recorded:
            terminalreporter.line(f"{test}: {name} {value}")
