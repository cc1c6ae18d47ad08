"""Start a supervisor process, and read the result of the start from a pipe and its log."""

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
from mcp_queue.system.spawn import spawn_detached, without_relative_paths

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
class StartResult:
    """The result of a start; without a ``reason`` there is a supervisor."""

    reason: str = ""
    certain: bool = False
    """Another start would fail too; not so if the process was killed."""


def start(
    folder: RegistryFolder, owner: str, key_file: str, report_result: Callable[[StartResult], None]
) -> None:
    """Start a supervisor.

    ``report_result`` is called once, in a thread, when it has taken charge or failed.
    ``key_file``: the key of the seals that it checks. Raises `OSError` if no process can start.
    """
    path = folder.path.removesuffix(".d")
    argv = [*python(), "-P", "-c", BOOT, *package_folders(), path, owner, key_file]
    before = _size(folder.log)
    env = without_relative_paths(environment())
    process = spawn_detached(argv, env=env, log=folder.log)

    def wait() -> None:
        report = _read_report(process)
        status = process.wait()
        if IN_CHARGE in report or NOT_NEEDED in report:
            report_result(StartResult())
        else:
            report_result(StartResult(_reason(status, folder.log, before), certain=status > 0))

    try:  # no thread of a pool: the end of the pool would wait for it
        threading.Thread(target=wait, name="supervisor-start", daemon=True).start()
    except RuntimeError as error:
        assert process.stdout is not None
        process.stdout.close()
        raise BlockingIOError(errno.EAGAIN, str(error)) from error


def last_error_line(log: str, start: int) -> str:
    """The last line with an error in the log from byte ``start`` on, or its last line."""
    try:
        with open(open_ours(log, os.O_RDONLY), "rb") as file:
            file.seek(max(start, _size(log) - TAIL))
            text = file.read(TAIL).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or [""])[-1]


def _read_report(process: subprocess.Popen[bytes]) -> bytes:
    """Its report on its start. The pipe ends at its death at the latest."""
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
        how = f"its process was killed by {_signal_name(-status)}"
    elif status > 0:
        how = f"its process ended with status {status}"
    else:
        how = "its process was gone before it took charge"
    words = last_error_line(log, before)
    return f"{how}, its last words: {words}" if words else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
