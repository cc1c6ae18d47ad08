"""Disks for tests: of a few MiB, filled to the last byte, or read-only."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 8  # MiB


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own; the test is skipped where none can be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    if not _mounted("-t", "tmpfs", "-o", f"size={SIZE}m,mode=700", "none", str(disk)):
        pytest.skip("no small disk can be mounted here (that takes root, and Linux)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """While it lasts, nothing can be written to a folder; for root, to the small disk it is on."""
    if not by_root():
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    disk = next(parent for parent in (folder, *folder.parents) if parent.is_mount())
    assert _mounted("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        assert _mounted("-o", "remount,rw", str(disk))


def by_root() -> bool:
    """Whether it is root who tests."""
    return os.geteuid() == 0


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    path = disk / "fills"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return path


def _mounted(*arguments: str) -> bool:
    command = ["mount", *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
