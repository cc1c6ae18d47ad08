"""The output of a run: written to its log files, or through pipes after its first child.

Descriptors 1 and 2 of a worker are the log files, so no other process has to pass on the output and
none is lost if one dies. But a program that opens ``/dev/stdout`` opens such a file again, empties
it and writes from its start; a pipe stays the same pipe. So pipes replace the files just before the
first child starts, or before this process opens such a file itself (`worker.log_pipes`). A job that
does neither needs neither pipes nor other processes.

The functions that can do so are wrapped here. An audit hook would see the calls too, but make every
``id()``, and with it ``copy.deepcopy``, twice as slow.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from _thread import RLock
from functools import update_wrapper

from mcp_queue.worker.log_files import identity, write_line

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
    """The logs of the run, and its pipes to them."""

    def __init__(self, run: RunFolder) -> None:
        self._run_id = os.path.basename(run.path)
        self._own = os.getpid()
        self.logs: dict[tuple[int, int], str] = {}  # paths by the identity of the file
        for descriptor, path in ((1, run.stdout), (2, run.stderr)):
            which = identity(descriptor)
            if which is not None:
                self.logs[which] = path
        self._pipes: LogPipes | None = None
        self._lock = RLock()  # reentrant: a signal handler may start a child
        self._busy = False
        self._warned = False

    def ensure_pipes(self) -> None:
        """Replace the log files by pipes. Never raises.

        If that fails, the reason is written to the log once, and the files stay.
        """
        if os.getpid() != self._own or not self._leads_to_logs():
            return
        with self._lock:
            if self._busy:
                return
            self._busy = True
            try:
                self._install_pipes()
            except Exception as error:  # no descriptor, no process, no memory
                self._warn(error)
            finally:
                self._busy = False

    def _install_pipes(self) -> None:
        if self._pipes is None:
            from mcp_queue.worker.log_pipes import LogPipes

            self._pipes = LogPipes(self._run_id, self.logs)
        self._pipes.install()

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            why = f"a child that opens /dev/stdout or /dev/stderr may empty this log: {error}"
            write_line(2, why)

    def _leads_to_logs(self) -> bool:
        return identity(1) in self.logs or identity(2) in self.logs

    def ensure_pipes_for(self, file: object) -> None:
        """`ensure_pipes` if ``file``, which will be opened for writing, is a log."""
        if identity(file) in self.logs:
            self.ensure_pipes()

    def drain(self) -> None:
        """Wait until the output so far is in the log files, at most a few seconds."""
        if self._pipes is not None:
            self._pipes.drain()


def forget_frames(error: BaseException) -> None:
    """Remove the frames of this module's wrappers from a traceback."""
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
    """Watch the output of this process, a run, from now on."""
    output = Output(run)
    if sys.platform != "win32" and output.logs:
        _watch_starts(output)
        _watch_opens(output)
        _watch_truncation(output)
    return output


def _watch_starts(output: Output) -> None:
    if sys.platform == "win32":
        return
    os.register_at_fork(before=output.ensure_pipes)  # extensions that fork properly call it too
    for name in _STARTS:
        _wrap(name, _after(output.ensure_pipes, getattr(os, name)))
    loaded = sys.modules.get(_FORK_EXEC)
    if loaded is None:  # loaded on demand, as not every job needs it
        sys.modules[_FORK_EXEC] = _lazy_module(output)
    else:
        wrapper = _after(output.ensure_pipes, loaded.fork_exec)
        _set(loaded, "fork_exec", wrapper)
        if "subprocess" in sys.modules:  # imported at the start; it has its own
            _set(sys.modules["subprocess"], "_fork_exec", wrapper)  # name for it


def _watch_opens(output: Output) -> None:
    real, real_os = io.open, os.open

    def io_open(file: Any, mode: Any = "r", *rest: Any, **named: Any) -> Any:
        if mode != "r" and mode != "rb":
            output.ensure_pipes_for(file)
        return real(file, mode, *rest, **named)

    changes = os.O_WRONLY | os.O_RDWR | os.O_TRUNC

    def os_open(path: Any, flags: Any, *rest: Any, **named: Any) -> int:
        if isinstance(flags, int) and flags & changes:
            output.ensure_pipes_for(path)
        return real_os(path, flags, *rest, **named)

    opens = _Wrapper(io_open, real)
    for module in (builtins, io, sys.modules["_io"]):
        _set(module, "open", opens)
    _wrap("open", _Wrapper(os_open, real_os))


def _watch_truncation(output: Output) -> None:
    for name in ("truncate", "ftruncate"):
        _wrap(name, _except_logs(output, getattr(os, name)))
    for stream in (sys.stdout, sys.stderr):
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)
        if raw is not None:
            _set(raw, "truncate", _after(output.ensure_pipes, raw.truncate))


class _Wrapper:
    """Replaces a function written in C. Like those it does not bind, so it may be a class
    attribute."""

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


def _except_logs(output: Output, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        file = arguments[0] if arguments else named.get("path", named.get("fd"))
        output.ensure_pipes_for(file)
        if identity(file) in output.logs:  # a log under another name; a pipe raises the same error
            raise OSError(22, os.strerror(22))
        return function(*arguments, **named)

    return _Wrapper(call, function)


def _wrap(name: str, wrapper: Callable[..., Any]) -> None:
    """Set it in ``os``, in ``posix`` (for pickles) and in the sets of supported functions."""
    for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if getattr(os, name) in able:
            able.add(wrapper)
    _set(os, name, wrapper)
    _set(sys.modules["posix"], name, wrapper)


def _set(owner: Any, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)


def _lazy_module(output: Output) -> ModuleType:
    """A module that loads the real one at its first use."""
    module = type(sys)(_FORK_EXEC)

    def fork_exec(*arguments: Any) -> int:
        output.ensure_pipes()
        sys.modules.pop(_FORK_EXEC, None)
        real = __import__(_FORK_EXEC)
        function: Callable[..., int] = real.fork_exec
        for one in (real, module):
            _set(one, "fork_exec", _after(output.ensure_pipes, function))
        return function(*arguments)

    _set(module, "fork_exec", fork_exec)
    return module
