"""Processes that carry a run's output from pipes into its log files: a ``cat`` for each log.

They begin as a run's first child does, and end by themselves once every process that could write
is gone. So they outlive the worker that started them: what it had written just before its death
is stored. Nobody waits for them by accident: a shell starts them and leaves, so that they are no
children of the run, and they stand in a session of their own, out of reach of what ends groups.
"""

from __future__ import annotations

import os
import signal
import sys

NAME = "mcp-queue-log"  # stands in the command line of the shell
_ARGUMENTS = ("-u", "-", "/dev/null")  # an odd way to say "copy", hence one to be known by
_LINE = '"$1" {arguments} <&{source} >&{log} 2>/dev/null 3<&- 4>&- 5<&- 6>&- 7>&- & echo $! >&7\n'
FOLDERS = ("/bin", "/usr/bin")  # where a cat is, if it is not on the PATH alone
_PIDS = 7  # descriptor; a shell may know of ten only
_ABOVE = 10  # descriptors of ours begin here, out of the way of those that the shell gets
_KEPT = "MCP_QUEUE_"  # what a reader gets of the environment begins so


class NoReaderError(Exception):
    """What would carry the output into the log could not be started."""


def pipe() -> tuple[int, int]:
    """The two ends of a pipe, closed in every program that is started, with high numbers."""
    if sys.platform == "win32":
        raise NoReaderError("not on Windows")
    import fcntl

    ends = os.pipe()
    moved: list[int] = []
    try:
        moved.extend(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for end in ends)
    except OSError:
        for end in moved:
            os.close(end)
        raise
    finally:
        for end in ends:
            os.close(end)
    return moved[0], moved[1]


def start(ways: list[tuple[int, int]], mark: tuple[str, str]) -> list[int]:
    """Start a reader for each of at most two ways: the read end of a `pipe`, and which of
    descriptors 1 and 2 is the log, open for append. Their pids come in the same order.

    ``mark``: name and value of the variable that tells the run. Raises `NoReaderError` or
    `OSError`; what was started then ends as soon as the pipes are closed.
    """
    cat = _find_cat()
    told, tell = pipe()
    try:
        try:
            shell = _spawn_shell(cat, ways, tell, mark)
        finally:
            os.close(tell)
        pids = _read_all(told)
        _reap(shell)
    finally:
        os.close(told)
    if len(pids) != len(ways):
        raise NoReaderError("no process could be started")
    return pids


def is_reader(pid: int) -> bool:
    """Whether a process is a reader, or the shell that is about to become one."""
    words = _command_line(pid)
    return words[1:] == list(_ARGUMENTS) or (len(words) > 3 and words[3] == NAME)


def _command_line(pid: int) -> list[str]:
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return os.fsdecode(file.read()).split("\0")[:-1]
        except OSError:
            return []
    import psutil

    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def _find_cat() -> str:
    folders = [*FOLDERS, *os.environ.get("PATH", "").split(os.pathsep)]
    for folder in folders:
        path = os.path.join(folder, "cat")
        if os.path.isabs(path) and os.access(path, os.X_OK):
            return path
    raise NoReaderError("there is no cat on this machine")


def _spawn_shell(cat: str, ways: list[tuple[int, int]], tell: int, mark: tuple[str, str]) -> int:
    if sys.platform == "win32":
        return 0
    script = "cd /\nexec 2>/dev/null\ntrap '' HUP INT TERM\n"
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()
    ]
    for number, (source, log) in enumerate(ways):
        there = 3 + 2 * number
        actions += [(os.POSIX_SPAWN_DUP2, source, there), (os.POSIX_SPAWN_DUP2, log, there + 1)]
        script += _LINE.format(arguments=" ".join(_ARGUMENTS), source=there, log=there + 1)
    actions.append((os.POSIX_SPAWN_DUP2, tell, _PIDS))
    kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", script, NAME, cat],
        {**kept, mark[0]: mark[1]},
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _inheritable() -> list[int]:
    """What the job lets its children inherit, beside the three that they always do."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return []
    found: list[int] = []
    for number in numbers:
        try:
            if number > 2 and os.get_inheritable(number):
                found.append(number)
        except OSError:  # the one of the listing
            continue
    return found


def _read_all(descriptor: int) -> list[int]:
    text = b""
    while block := os.read(descriptor, 64):
        text += block
    return [int(pid) for pid in text.split()]


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # the job itself waits for every child, or ignores them
        pass
