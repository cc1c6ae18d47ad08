"""Fixtures of the tests with a real supervisor: settings in both storage modes, lifelines.

Tests that a module or a mark of their own names ``supervisor_killed`` run once more on a persistent
registry, and in that run the supervisor is killed -9 as the first job begins, which goes on alone
and is adopted by the next one. The mark ``supervisor_stays`` says why a test has no such run. What
ends differently then is told by `Killed`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_queue.config import Settings
from support.processes import Lifelines

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE = 0.3  # seconds that a job gets to stop
IN_MEMORY, PERSISTENT, KILLED = "in_memory", "persistent", "killed_in_the_middle"
SITE = str(Path(__file__).with_name("site_supervisor"))


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "supervisor_killed: run the test once more with its supervisor killed in the middle",
        "supervisor_stays(why): not this one",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the modes of ``settings``, unless the test does so itself."""
    chosen = [
        mark
        for mark in metafunc.definition.iter_markers("parametrize")
        if "settings" in str(mark.args[0])
    ]
    if "settings" not in metafunc.fixturenames or chosen:
        return
    modes = [IN_MEMORY, PERSISTENT]
    marked = metafunc.definition.get_closest_marker("supervisor_killed")
    if (
        sys.platform == "linux"
        and marked
        and not metafunc.definition.get_closest_marker("supervisor_stays")
    ):
        modes.append(KILLED)
    metafunc.parametrize("settings", modes, indirect=True)


@dataclass
class Killed:
    """Whether the supervisor was killed as the test's first job began."""

    file: Path | None = None
    """Made by the worker that does it."""

    def __bool__(self) -> bool:
        return self.file is not None

    def lost(
        self, code: str, exit_code: int | None = None, signal: str | None = None
    ) -> tuple[str, int | None, str | None]:
        """What is known of a worker that died so: nothing, if its parent was dead before it."""
        return ("interrupted", None, None) if self else (code, exit_code, signal)


@pytest.fixture
def persistent(tmp_path: Path) -> Settings:
    return Settings(
        in_memory=False,
        registry_path=str(tmp_path / "data" / "registry.db"),
        stop_grace_seconds=GRACE,
        supervisor_linger_seconds=0.1,
    )


@pytest.fixture
def killed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Killed]:
    """In a run with the supervisor killed, the first job of the test does it as it begins."""
    if getattr(request.node, "callspec", None) is None or (
        request.node.callspec.params.get("settings") != KILLED
    ):
        yield Killed()
        return
    file = tmp_path / "the supervisor was killed"
    path = os.pathsep.join(filter(None, (SITE, os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("SUPERVISOR_KILLED", str(file))
    yield Killed(file)
    assert file.exists(), "no job has killed the supervisor: mark the test as supervisor_stays"


@pytest.fixture
def settings(request: pytest.FixtureRequest, persistent: Settings, killed: Killed) -> Settings:
    if request.param == IN_MEMORY:
        return replace(persistent, in_memory=True, registry_path=None)
    return persistent


@pytest.fixture
def lines() -> Iterator[Lifelines]:
    with Lifelines() as lines:
        yield lines
