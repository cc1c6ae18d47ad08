"""How much of the disk a registry takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.manager.disk import DiskUsage


@pytest.fixture
def folder(tmp_path: Path) -> RegistryFolder:
    """One with an artifact of 100,000 bytes."""
    folder = RegistryFolder(str(tmp_path / "registry.db"))
    folder.make()
    artifacts = Path(folder.run("one").artifacts)
    artifacts.mkdir(parents=True)
    (artifacts / "kept").write_bytes(b"x" * 100_000)
    return folder


async def test_all_who_ask_at_once_get_the_figure(folder: RegistryFolder) -> None:
    usage = DiskUsage(folder)
    found = await asyncio.gather(*(usage.recent() for _ in range(10)))
    found += await asyncio.gather(*(usage.recent() for _ in range(10)))
    assert all(each is not None and each.artifacts >= 100_000 for each in found)
