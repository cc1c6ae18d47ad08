"""What the tests of the ready-made commands share: a job that remembers, a cache of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_queue import Job
from mcp_queue.commands.job import Sink
from mcp_queue_tools import analyze_project
from mcp_queue_tools.maps import CACHE_VARIABLE


class Recorder(Sink):
    """Stands where a worker sends a job's events; ``stop_after`` reports it asks for a stop."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.reports: list[tuple[float | None, str | None]] = []
        self.lines: list[str] = []
        self.stop_after = stop_after
        self.job = Job("job-1", 1, self)

    def progress(self, percent: float | None, description: str | None) -> None:
        self.reports.append((percent, description))

    def log(self, line: str) -> None:
        self.lines.append(line)

    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.reports) >= self.stop_after


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def project(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Makes a project of the files given, path → content."""

    def make(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "project"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return make


@pytest.fixture
def analyze() -> Callable[..., Any]:
    """Runs analyze_project as a worker does and returns its result."""

    def run(root: Path, *, recorder: Recorder | None = None, **params: Any) -> dict[str, Any]:
        return analyze_project(str(root), job=(recorder or Recorder()).job, **params)

    return run
