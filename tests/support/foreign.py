"""Where other people's programs are that the tests run, and how they get there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_queue.system.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SAID = 300  # characters that are kept of what an installer said
GUARD = 600  # seconds, for an installation over a slow network


class NotInstalledError(Exception):
    """A program could not be installed; the message is what its installer said."""


def folder_of(environ: Mapping[str, str]) -> Path:
    """The folder outside the tree that ``MCP_QUEUE_TEST_PROGRAMS`` names, or one of the cache."""
    chosen = environ.get("MCP_QUEUE_TEST_PROGRAMS")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "mcp-queue-tests"


FOLDER = folder_of(os.environ)
"""As the environment said at the start: the tests themselves see no such variable."""


class Place:
    """The folder of one program in its pinned versions; other pins have another folder.

    So two checkouts never change what the other one runs.
    """

    def __init__(self, name: str, *pins: str) -> None:
        digest = hashlib.sha256("\0".join(pins).encode()).hexdigest()
        self.path = FOLDER / f"{name}-{digest[:12]}"
        self._mark = self.path / "complete"

    @property
    def complete(self) -> bool:
        """Whether everything is there; what was broken off half-way is not."""
        return self._mark.is_file()

    @contextmanager
    def filling(self) -> Iterator[Path]:
        """The folder, empty; complete when the block ends well."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        yield self.path
        self._mark.touch()


@contextmanager
def locked() -> Iterator[Path]:
    """One process at a time installs programs; the others wait. Gives the folder of all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(FOLDER / "lock"))
    while not lock.try_acquire():
        time.sleep(0.1)
    try:
        yield FOLDER
    finally:
        lock.release()


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> None:
    """Run a step of an installation.

    Raises `NotInstalledError` if it fails, or takes longer than ten minutes.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=GUARD,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{command[0]} did not end within {GUARD} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(npm )?error\b", line, re.IGNORECASE)]
        last = lines[-1] if lines else f"{command[0]} ended with {done.returncode}"
        raise NotInstalledError((errors[0] if errors else last)[:SAID])
