"""A run's output: straight into its log files, through pipes from its first child on.

A worker's descriptors 1 and 2 are the log files themselves, so nothing that is written gets lost
with a process that should have carried it. But whoever opens ``/dev/stdout`` opens such a file
anew, empties it and writes from its beginning; only a pipe is still the same pipe then. So pipes
take the place of the files just before there is a child, or before this process does so itself
(`worker.log_pipes`). A job that does neither has neither pipes nor processes beside it.

What can do so is wrapped here. An audit hook would see it too, and make every ``id()``, and with
it ``copy.deepcopy``, twice as slow.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from _thread import RLock
from functools import update_wrapper

from mcp_queue.worker.log_files import identity, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.worker.log_pipes import LogPipes

_STARTS = ("system", "posix_spawn", "posix_spawnp", "execv", "execve")
_FORK_EXEC = "_posixsubprocess"  # its one function is what subprocess and multiprocessing use


class Output:
    """Where the run's output goes, and how it gets there."""

    def __init__(self, run: RunFolder) -> None:
        self._run_id = os.path.basename(run.path)
        self._own = os.getpid()
        self.logs: dict[tuple[int, int], str] = {}  # which files they are, and their paths
        for descriptor, path in ((1, run.stdout), (2, run.stderr)):
            which = identity(descriptor)
            if which is not None:
                self.logs[which] = path
        self._pipes: LogPipes | None = None
        self._lock = RLock()  # a signal's handler may come in between and start a child
        self._busy = False
        self._warned = False

    def make_safe(self) -> None:
        """Put pipes in the place of log files. Never raises; what stands in the way is said once
        in the log, and then the files stay."""
        if os.getpid() != self._own or not self._leads_to_logs():
            return
        with self._lock:
            if self._busy:
                return
            self._busy = True
            try:
                self._put_pipes_in_place()
            except Exception as error:  # no descriptor, no process, no memory
                self._warn(error)
            finally:
                self._busy = False

    def _put_pipes_in_place(self) -> None:
        if self._pipes is None:
            from mcp_queue.worker.log_pipes import LogPipes

            self._pipes = LogPipes(self._run_id, self.logs)
        self._pipes.put_in_place()

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            why = f"a child that opens /dev/stdout or /dev/stderr may empty this log: {error}"
            say(2, why)

    def _leads_to_logs(self) -> bool:
        return identity(1) in self.logs or identity(2) in self.logs

    def make_safe_for(self, file: object) -> None:
        """The same, if it is a log that is about to be opened for writing."""
        if identity(file) in self.logs:
            self.make_safe()

    def store(self) -> None:
        """Wait until what was written so far is in the log files, a few seconds at most."""
        if self._pipes is not None:
            self._pipes.drain()


def forget_frames(error: BaseException) -> None:
    """Take what is wrapped here out of a traceback: in a script there would be nothing either."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        entry = one.__traceback__
        while entry is not None:
            after = entry.tb_next
            while after is not None and after.tb_frame.f_code.co_filename == __file__:
                entry.tb_next = after = after.tb_next
            entry = after
        one = one.__cause__ or one.__context__


def watch(run: RunFolder) -> Output:
    """Keep the logs of the run that this process is, from now on."""
    output = Output(run)
    if sys.platform != "win32" and output.logs:
        _watch_starts(output)
        _watch_opens(output)
        _watch_truncation(output)
    return output


def _watch_starts(output: Output) -> None:
    if sys.platform == "win32":
        return
    os.register_at_fork(before=output.make_safe)  # extensions that fork by the rules do this too
    for name in _STARTS:
        _wrap(name, _after(output.make_safe, getattr(os, name)))
    loaded = sys.modules.get(_FORK_EXEC)
    if loaded is None:  # it is loaded from a file of its own, which not every job needs
        sys.modules[_FORK_EXEC] = _late(output)
    else:
        wrapper = _after(output.make_safe, loaded.fork_exec)
        _set(loaded, "fork_exec", wrapper)
        if "subprocess" in sys.modules:  # by what begins with the interpreter; it has a name of
            _set(sys.modules["subprocess"], "_fork_exec", wrapper)  # its own for it


def _watch_opens(output: Output) -> None:
    real, real_os = io.open, os.open

    def io_open(file: Any, mode: Any = "r", *rest: Any, **named: Any) -> Any:
        if mode != "r" and mode != "rb":
            output.make_safe_for(file)
        return real(file, mode, *rest, **named)

    changes = os.O_WRONLY | os.O_RDWR | os.O_TRUNC

    def os_open(path: Any, flags: Any, *rest: Any, **named: Any) -> int:
        if isinstance(flags, int) and flags & changes:
            output.make_safe_for(path)
        return real_os(path, flags, *rest, **named)

    opens = _Wrapper(io_open, real)
    for module in (builtins, io, sys.modules["_io"]):
        _set(module, "open", opens)
    _wrap("open", _Wrapper(os_open, real_os))


def _watch_truncation(output: Output) -> None:
    for name in ("truncate", "ftruncate"):
        _wrap(name, _not_of_logs(output, getattr(os, name)))
    for stream in (sys.stdout, sys.stderr):
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)
        if raw is not None:
            _set(raw, "truncate", _after(output.make_safe, raw.truncate))


class _Wrapper:
    """Takes the place of a function written in C: it binds to no object, as those do not, so that
    it may stand in a class, too."""

    def __init__(self, call: Callable[..., Any], real: Callable[..., Any]) -> None:
        self._call = call
        update_wrapper(self, real)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._call(*arguments, **named)

    def __reduce__(self) -> str:
        return self.__qualname__  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


def _after(first: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        first()
        return function(*arguments, **named)

    return _Wrapper(call, function)


def _not_of_logs(output: Output, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        file = arguments[0] if arguments else named.get("path", named.get("fd"))
        output.make_safe_for(file)
        if identity(file) in output.logs:  # by another name; a pipe refuses in these words, too
            raise OSError(22, os.strerror(22))
        return function(*arguments, **named)

    return _Wrapper(call, function)


def _wrap(name: str, wrapper: Callable[..., Any]) -> None:
    """Put it where ``os``, pickles and who asks what a function can do look for it."""
    for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if getattr(os, name) in able:
            able.add(wrapper)
    _set(os, name, wrapper)
    _set(sys.modules["posix"], name, wrapper)


def _set(owner: Any, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)


def _late(output: Output) -> ModuleType:
    """A module that takes the real one's place with its first use."""
    module = type(sys)(_FORK_EXEC)

    def fork_exec(*arguments: Any) -> int:
        output.make_safe()
        sys.modules.pop(_FORK_EXEC, None)
        real = __import__(_FORK_EXEC)
        function: Callable[..., int] = real.fork_exec
        for one in (real, module):
            _set(one, "fork_exec", _after(output.make_safe, function))
        return function(*arguments)

    _set(module, "fork_exec", fork_exec)
    return module
