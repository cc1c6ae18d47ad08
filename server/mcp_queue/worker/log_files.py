"""The identities of log files, and lines of this program in a log."""

from __future__ import annotations

import os


def identity(file: object) -> tuple[int, int] | None:
    """The identity of the file of a path or descriptor; None if there is none."""
    try:
        found = os.stat(file)  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError, ValueError):
        return None
    return found.st_dev, found.st_ino


def write_line(descriptor: int, line: str) -> None:
    """Write a line of this program to the job's log."""
    try:
        os.write(descriptor, f"mcp-queue: {line}\n".encode("utf-8", "replace"))
    except OSError:
        pass
