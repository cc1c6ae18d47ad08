"""Log readers: processes that copy a run's output from pipes into its log files, a ``cat`` per log.

They start when the run starts its first child, and end when all processes that could write are
gone. So they outlive the worker, and its last output is stored. A shell starts them and exits, so
they are no children of the run, and no code of the job waits for them by accident. They have their
own session, so signals to the run's process group do not reach them.
"""

from __future__ import annotations

import os
import signal
import sys

NAME = "mcp-queue-log"  # an argument in the command line of the shell
_ARGUMENTS = ("-u", "-", "/dev/null")  # an unusual way to copy, which identifies a reader
_LINE = '"$1" {arguments} <&{source} >&{log} 2>/dev/null 3<&- 4>&- 5<&- 6>&- 7>&- & echo $! >&7\n'
FOLDERS = ("/bin", "/usr/bin")  # searched for cat before the PATH
_PIDS = 7  # the descriptor for the pids; a shell may support only 0 to 9
_ABOVE = 10  # our descriptors have at least this number, so the shell's do not collide with them
_PREFIX = "MCP_QUEUE_"  # a reader gets only the variables that begin so


class NoReaderError(Exception):
    """No process could be started to copy the output into the log."""


def pipe() -> tuple[int, int]:
    """The two ends of a pipe, closed on exec, with numbers from `_ABOVE` on."""
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


def start(copies: list[tuple[int, int]], mark: tuple[str, str]) -> list[int]:
    """Start a reader for each of at most two copies; their pids in the same order.

    A copy is the read end of a `pipe`, and the descriptor of the log (1 or 2), open for append.
    ``mark``: name and value of the variable that identifies the run. Raises `NoReaderError` or
    `OSError`; readers that were started then end as soon as the pipes are closed.
    """
    cat = _find_cat()
    source, target = pipe()
    try:
        try:
            shell = _spawn_shell(cat, copies, target, mark)
        finally:
            os.close(target)
        pids = _read_pids(source)
        _reap(shell)
    finally:
        os.close(source)
    if len(pids) != len(copies):
        raise NoReaderError("no process could be started")
    return pids


def is_reader(pid: int) -> bool:
    """Whether a process is a reader, or the shell that starts one."""
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


def _spawn_shell(cat: str, copies: list[tuple[int, int]], pids: int, mark: tuple[str, str]) -> int:
    if sys.platform == "win32":
        return 0
    script = "cd /\nexec 2>/dev/null\ntrap '' HUP INT TERM\n"
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()
    ]
    for number, (source, log) in enumerate(copies):
        first = 3 + 2 * number
        actions += [(os.POSIX_SPAWN_DUP2, source, first), (os.POSIX_SPAWN_DUP2, log, first + 1)]
        script += _LINE.format(arguments=" ".join(_ARGUMENTS), source=first, log=first + 1)
    actions.append((os.POSIX_SPAWN_DUP2, pids, _PIDS))
    own = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", script, NAME, cat],
        {**own, mark[0]: mark[1]},
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _inheritable() -> list[int]:
    """The descriptors that children of this process inherit, except the standard streams."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return []
    found: list[int] = []
    for number in numbers:
        try:
            if number > 2 and os.get_inheritable(number):
                found.append(number)
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def _read_pids(descriptor: int) -> list[int]:
    text = b""
    while block := os.read(descriptor, 64):
        text += block
    return [int(pid) for pid in text.split()]


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # the job's code waits for all children, or ignores them
        pass
