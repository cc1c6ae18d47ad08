"""All that a run started: find it, kill it.

On Linux worker and supervisor are subreapers: what a worker starts, daemons included, stays
below the worker while it lives and falls to the supervisor when it dies. The environment mark
(a run's id stands in the environment of all its processes that did not clear it) is the fallback
for workers of a dead supervisor and for other systems.
"""

from __future__ import annotations

import os
import signal
import sys

from mcp_queue.system.identity import ALIVE, pid_of, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_queue.system.watch import Watch

MARK = "MCP_QUEUE_RUN"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37
LAST_SECONDS = 1.0  # for what ends by itself to do so, once all else is gone
BUSY_SECONDS = 10.0  # the same while it is at work, as on a machine where it hardly gets its turn
REAP_SECONDS = 2.0  # for a killed process to be gone; only an unkillable one takes so long


def become_subreaper(whether: bool = True) -> None:
    """Adopt orphaned descendants instead of pid 1; does nothing where that does not exist."""
    _prctl(PR_SET_CHILD_SUBREAPER, int(whether))


def is_subreaper() -> bool:
    """Whether orphaned descendants fall to this process."""
    if sys.platform != "linux":
        return False
    import ctypes

    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def die_with_parent(parent: int) -> None:
    """Get SIGKILL when the thread that spawned this process ends; Linux only.

    ``parent``: the pid that ``os.getppid`` gave at first; when it is gone already, leave at once.
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


def marks() -> dict[int, str]:
    """Every process of ours whose environment carries a mark, and which run's it is."""
    if sys.platform == "linux":
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return {pid: run_id for pid in pids if (run_id := _mark_of(pid)) is not None}
    import psutil

    found: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            run_id = process.environ().get(MARK)
        except (psutil.Error, OSError):
            continue
        if run_id is not None:
            found[process.pid] = run_id
    return found


def marked(run_id: str) -> list[int]:
    """All processes of ours whose environment carries the mark of a run."""
    return [pid for pid, mark in marks().items() if mark == run_id]


def _mark_of(pid: int) -> str | None:
    """The run in the environment of a process; None without one, or when it is not ours."""
    begin = MARK.encode() + b"="
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except OSError:
        return None
    if begin not in content:
        return None
    for entry in content.split(b"\0"):
        if entry.startswith(begin):
            return os.fsdecode(entry[len(begin) :])
    return None


def kill_run(root: Watch, run_id: str) -> None:
    """Kill the worker under ``root`` and all that is found of its run.

    A process below it is signalled only when it is seen there both before and after its handle
    was taken, so a pid that changes hands meanwhile is left alone.
    """
    pid = pid_of(root.identity)
    below = [(child, _pidfd(child)) for child in descendants_of(pid)]
    still = set(descendants_of(pid)) if state_of(root.identity) == ALIVE else set[int]()
    root.send(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    for child, descriptor in below:
        if child in still and not ends_by_itself(child):
            _kill(child, descriptor)
        else:
            _close(descriptor)
    _kill_others(run_id)


def kill_marked(run_id: str) -> None:
    """Kill every process that carries the mark of a run, until none is left; those that store
    its output last, when they had their time to end by themselves."""
    _kill_others(run_id)
    _end_last([pid for pid in marked(run_id) if ends_by_itself(pid)])


def end_last(run_id: str) -> None:
    """Give those of a dead run that fell to this process and end by themselves time to do so."""
    if sys.platform == "linux":
        below = children_of(os.getpid())
        _end_last([pid for pid in below if ends_by_itself(pid) and _mark_of(pid) == run_id])


def ends_by_itself(pid: int) -> bool:
    """Whether a process of a run goes as soon as all others of it are gone."""
    from mcp_queue.system.log_readers import is_reader

    return is_reader(pid)


def _end_last(pids: list[int]) -> None:
    from mcp_queue import clock

    began = clock.monotonic()
    for pid, descriptor in [(pid, _pidfd(pid)) for pid in pids]:
        ended = False
        while not (ended := _ends(pid, descriptor, LAST_SECONDS)):
            # One that waits does so for a process that is out of reach and holds its pipe open.
            if _state_of(pid) == "S" or clock.monotonic() - began > BUSY_SECONDS:
                break
        if not ended and ends_by_itself(pid):
            _kill(pid, descriptor, wait=True)
        else:
            _close(descriptor)
        try:
            os.waitpid(pid, getattr(os, "WNOHANG", 0))
        except ChildProcessError:
            pass


def _ends(pid: int, descriptor: int | None, seconds: float) -> bool:
    if descriptor is None:
        return True
    if sys.platform == "linux":
        return _reads_as_dead(descriptor, seconds)
    import psutil

    try:
        psutil.Process(pid).wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return True


def _kill_others(run_id: str) -> None:
    while True:
        found = [(pid, _pidfd(pid)) for pid in marked(run_id) if not ends_by_itself(pid)]
        found = [(pid, fd) for pid, fd in found if _still_marked(pid, fd, run_id)]
        if not found:
            return
        gone = [_kill(pid, descriptor, wait=True) for pid, descriptor in found]
        if not all(gone):
            return


def _still_marked(pid: int, descriptor: int | None, run_id: str) -> bool:
    if descriptor is None or _is_zombie(pid) or not _matches(pid, run_id):
        _close(descriptor)
        return False
    return True


def _matches(pid: int, run_id: str) -> bool:
    if sys.platform == "linux":
        return _mark_of(pid) == run_id
    return pid in marked(run_id)


def _is_zombie(pid: int) -> bool:
    return _state_of(pid) in "ZX"


def _state_of(pid: int) -> str:
    """The letter that Linux has for what a process does; ``X`` for one that is gone."""
    if sys.platform != "linux":
        return "S"
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def kill_strays(own: set[int]) -> bool:
    """Kill and reap every child of this process that is not in ``own``; True when none is left.

    Those that end by themselves are left alone, for they may be of runs that live. This process is
    a subreaper: such a child was left by a worker that has died. Its own children fall to us when
    it dies, hence the loop.
    """
    if sys.platform != "linux":
        return True
    while strays := [
        pid for pid in children_of(os.getpid()) if pid not in own and not ends_by_itself(pid)
    ]:
        for pid in strays:
            _kill(pid, _pidfd(pid), wait=True)
            try:
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    return False
            except ChildProcessError:
                continue
    return True


def _pidfd(pid: int) -> int | None:
    """A handle that keeps meaning the process that has this pid now; None when it is gone."""
    if sys.platform != "linux":
        return -1
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _close(descriptor: int | None) -> None:
    if descriptor is not None and descriptor >= 0:
        os.close(descriptor)


def _kill(pid: int, descriptor: int | None, *, wait: bool = False) -> bool:
    """Kill by handle and close the handle; True when the process is gone or will be."""
    if descriptor is None:
        return True
    if sys.platform != "linux":
        return _kill_by_psutil(pid, wait)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        if wait:
            return _reads_as_dead(descriptor, REAP_SECONDS)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    finally:
        os.close(descriptor)
    return True


def _reads_as_dead(pidfd: int, seconds: float) -> bool:
    if sys.platform == "win32":
        return True
    import select

    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _kill_by_psutil(pid: int, wait: bool) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        process.kill()
        if wait:
            process.wait(REAP_SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return True
