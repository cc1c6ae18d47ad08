"""Find and end all processes that a run started.

On Linux the supervisor is a subreaper: it becomes the parent of orphans, such as daemons, and the
marks tell which run they belong to (`marks`). A worker is no subreaper, so orphans within a job
behave as in any program. For the runs of a dead supervisor, and on other systems, only the marks
are left.
"""

from __future__ import annotations

import os
import signal
import sys

from mcp_queue import clock
from mcp_queue.system import log_readers, marks
from mcp_queue.system.identity import ALIVE, pid_of, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_queue.system.watch import Watch

    Handles = list[tuple[int, int]]
    """Pids, each with a pidfd, which never refers to another process (-1 outside Linux)."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37
REAP_SECONDS = 2.0  # for a killed process to end; only an unkillable one takes so long
HELPER_WAIT = 1.0  # seconds for helper processes that clean up and end after all others
BUSY_HELPER_WAIT = 10.0  # the same, at most, for helpers that still work on a busy machine
TRACKER = b"resource_tracker import main"  # in the command lines of multiprocessing's trackers


def become_subreaper(whether: bool = True) -> None:
    """Let this process, instead of pid 1, adopt orphaned descendants; Linux only."""
    _prctl(PR_SET_CHILD_SUBREAPER, int(whether))


def is_subreaper() -> bool:
    """Whether this process adopts orphaned descendants."""
    if sys.platform != "linux":
        return False
    import ctypes

    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def die_with_parent(parent: int) -> None:
    """Get SIGKILL when the thread that spawned this process ends; Linux only.

    ``parent``: the first result of ``os.getppid``. If that process has already ended, this one
    exits at once.
    """
    _prctl(PR_SET_PDEATHSIG, 9)
    if sys.platform == "linux" and os.getppid() != parent:
        os._exit(0)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """The direct children of ``pid``, zombies included."""
    if sys.platform == "linux":
        return [child for thread in _threads_of(pid) for child in _children_of_thread(pid, thread)]
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def _threads_of(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _children_of_thread(pid: int, thread: str) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants_of(pid: int) -> list[int]:
    """All processes below ``pid``, parents before children."""
    found = children_of(pid)
    for child in found:  # grows while it is walked
        found += children_of(child)
    return found


def strays(own: set[int], run_id: str | None) -> list[int]:
    """Children of this process that are not in ``own``: adopted orphans of runs.

    ``run_id``: only those of one run; None: all, also those without a mark.
    """
    if sys.platform != "linux":
        return []
    found = [pid for pid in children_of(os.getpid()) if pid not in own]
    return found if run_id is None else [pid for pid in found if marks.belongs(pid, run_id)]


def reap_strays(own: set[int]) -> None:
    """Reap the orphans that have ended, so that no zombies remain."""
    if sys.platform == "win32":
        return
    for pid in strays(own, None):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


def kill_run(root: Watch, run_id: str) -> None:
    """Kill the worker ``root`` and all processes of its run.

    A descendant is killed only if it was found both before and after its handle was opened. So a
    pid that the system reused meanwhile is left alone.
    """
    pid = pid_of(root.identity)
    handles = _handles(descendants_of(pid))
    confirmed = set(descendants_of(pid)) if state_of(root.identity) == ALIVE else set[int]()
    root.send(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    _end([each for each in handles if _keep(each, each[0] in confirmed)])
    kill_marked(run_id)


def kill_marked(run_id: str) -> None:
    """End every process that carries a mark of a run, until none is left."""
    while found := [each for each in _handles(marks.marked(run_id)) if _is_of_run(each, run_id)]:
        if not _end(found):
            return


def kill_strays(own: set[int], run_id: str | None = None) -> bool:
    """End and reap the orphans of a run, or all (`strays`); True when none is left.

    It loops because this process adopts the children of each orphan that dies.
    """
    if sys.platform == "win32":
        return True
    while found := strays(own, run_id):
        _end(_handles(found))
        for pid in found:
            try:
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    return False
            except ChildProcessError:
                continue
    return True


def _is_of_run(handle: tuple[int, int], run_id: str) -> bool:
    """Whether the process, now that its handle is open, still belongs to the run; else close it."""
    pid, _ = handle
    return _keep(handle, not _is_zombie(pid) and marks.belongs(pid, run_id))


def _keep(handle: tuple[int, int], wanted: bool) -> bool:
    if not wanted:
        _close(handle[1])
    return wanted


def _is_zombie(pid: int) -> bool:
    return _state_of(pid) in "ZX"


def _state_of(pid: int) -> str:
    """The letter of the process state on Linux; ``X`` for a process that has ended."""
    if sys.platform != "linux":
        return "S"
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _ends_by_itself(pid: int) -> bool:
    """Whether it is a helper that cleans up and ends when the processes that it serves are gone."""
    if log_readers.is_reader(pid):
        return True
    if sys.platform != "linux":
        return False
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return TRACKER in file.read()
    except OSError:
        return False


def _handles(pids: Iterable[int]) -> Handles:
    """The handles of those processes that exist."""
    if sys.platform != "linux":
        return [(pid, -1) for pid in pids]
    found: Handles = []
    for pid in pids:
        try:
            found.append((pid, os.pidfd_open(pid)))
        except ProcessLookupError:
            continue
    return found


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _end(handles: Handles) -> bool:
    """End these processes and close their handles; True when all have ended.

    Helpers that clean up come last, and are killed only if they do not end in time.
    """
    last = [each for each in handles if _ends_by_itself(each[0])]
    first = [each for each in handles if each not in last]
    try:
        gone = _kill(first)
        return (_wait_for_helpers(last) or _kill(last)) and gone
    finally:
        for _, descriptor in handles:
            _close(descriptor)


def _wait_for_helpers(handles: Handles) -> bool:
    """Wait for helpers to end by themselves; False if they wait for processes outside the run."""
    deadline = clock.monotonic() + BUSY_HELPER_WAIT
    while not _wait_until_gone(handles, HELPER_WAIT):
        if clock.monotonic() > deadline or all(_state_of(pid) in "SZX" for pid, _ in handles):
            return False
    return True


def _kill(handles: Handles) -> bool:
    if sys.platform != "linux":
        return [_kill_by_psutil(pid) for pid, _ in handles].count(False) == 0
    sent = [_send_kill(descriptor) for _, descriptor in handles]
    return _wait_until_gone(handles, REAP_SECONDS) and all(sent)


def _send_kill(descriptor: int) -> bool:
    assert sys.platform == "linux"
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    return True


def _wait_until_gone(handles: Handles, seconds: float) -> bool:
    """Wait until all have ended; False if one still exists after ``seconds``."""
    if sys.platform != "linux":
        return not handles
    import select

    poll, living = select.poll(), {descriptor for _, descriptor in handles}
    for descriptor in living:
        poll.register(descriptor, select.POLLIN)
    deadline = clock.monotonic() + seconds
    while living and (remaining := deadline - clock.monotonic()) > 0:
        for descriptor, _ in poll.poll(remaining * 1000):
            poll.unregister(descriptor)
            living.discard(descriptor)
    return not living


def _kill_by_psutil(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        process.kill()
        process.wait(REAP_SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return True
