"""The files that a run's output goes to."""

from __future__ import annotations

import os


def identity(file: object) -> tuple[int, int] | None:
    """Which file a path or a descriptor leads to; None for what leads nowhere."""
    try:
        found = os.stat(file)  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError, ValueError):
        return None
    return found.st_dev, found.st_ino


def say(descriptor: int, line: str) -> None:
    """A line of ours in the job's log."""
    try:
        os.write(descriptor, f"mcp-queue: {line}\n".encode("utf-8", "replace"))
    except OSError:
        pass
