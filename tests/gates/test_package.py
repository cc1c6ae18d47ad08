"""What is installed is what stands in the tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import mcp_queue

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "server" / "mcp_queue", ROOT / "tools" / "mcp_queue_tools"]


def test_the_wheel_holds_both_packages_with_all_their_files(tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("mcp_queue-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {
        path.relative_to(package.parent).as_posix()
        for package in PACKAGES
        for path in package.rglob("*")
        if path.is_file() and not _is_cache(path.relative_to(package))
    }
    assert {"mcp_queue/py.typed", "mcp_queue_tools/py.typed", "mcp_queue/jobs/schema.sql"} <= names


def _is_cache(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def test_the_version_is_said_once():
    assert version("mcp-queue") == mcp_queue.__version__


def test_the_ready_made_commands_come_by_entry_point():
    (tools,) = entry_points(group="mcp_queue.commands", name="tools")
    assert tools.value == "mcp_queue_tools"
