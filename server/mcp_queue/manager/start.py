"""One start of a supervisor: its process, and how it went, which a pipe and its log tell."""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_queue.jobs.start_report import IN_CHARGE, NOT_NEEDED
from mcp_queue.manager.origin import environment, package_folders, python
from mcp_queue.system.ours import open_ours
from mcp_queue.system.spawn import spawn_detached

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from mcp_queue.jobs.folder import RegistryFolder

BOOT = """\
import sys
sys.path += [sys.argv.pop(1), sys.argv.pop(1)]
from mcp_queue.supervisor.main import main
main()
"""
TAIL = 8192  # bytes of the log that are searched for the reason
_ERROR = re.compile(r"(Fatal Python error|(\w+\.)*\w*(Error|Exception|Exit|Interrupt))\b")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a start went; without a ``reason`` a supervisor is there."""

    reason: str = ""
    certain: bool = False
    """It would not have gone otherwise a moment later; a process that was killed may."""


def start(
    folder: RegistryFolder, owner: str, key_file: str, tell: Callable[[Verdict], None]
) -> None:
    """Start a supervisor; ``tell`` is called once, in a thread, when it has taken charge or failed.

    ``key_file``: of the seals that it checks. Raises `OSError` when no process can be had.
    """
    path = folder.path.removesuffix(".d")
    argv = [*python(), "-P", "-c", BOOT, *package_folders(), path, owner, key_file]
    before = _size(folder.log)
    process = spawn_detached(argv, env=environment(), log=folder.log)

    def wait() -> None:
        report = _report(process)
        status = process.wait()
        if IN_CHARGE in report or NOT_NEEDED in report:
            tell(Verdict())
        else:
            tell(Verdict(_reason(status, folder.log, before), certain=status > 0))

    try:  # not a thread of a pool, whose end would wait for it
        threading.Thread(target=wait, name="supervisor-start", daemon=True).start()
    except RuntimeError as error:
        assert process.stdout is not None
        process.stdout.close()
        raise BlockingIOError(errno.EAGAIN, str(error)) from error


def said(log: str, start: int) -> str:
    """The line of the log, of those from byte ``start`` on, that says best what is wrong."""
    try:
        with open(open_ours(log, os.O_RDONLY), "rb") as file:
            file.seek(max(start, _size(log) - TAIL))
            text = file.read(TAIL).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or [""])[-1]


def _report(process: subprocess.Popen[bytes]) -> bytes:
    """What it says of its start; the end of the pipe comes with its death at the latest."""
    assert process.stdout is not None
    report = b""
    with process.stdout as pipe:
        while data := os.read(pipe.fileno(), 4096):
            report = report[-len(NOT_NEEDED) :] + data
            if IN_CHARGE in report or NOT_NEEDED in report:
                break
    return report


def _reason(status: int, log: str, before: int) -> str:
    if status < 0:
        how = f"its process was killed by {_name(-status)}"
    elif status > 0:
        how = f"its process ended with status {status}"
    else:
        how = "its process was gone before it took charge"
    words = said(log, before)
    return f"{how}, its last words: {words}" if words else how


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
