"""Run one job in this process: load its command, call it, and make the outcome."""

from __future__ import annotations

import os
import signal
import sys
from _thread import get_ident  # threading costs 3 ms of a worker's start

from mcp_queue import forked
from mcp_queue.commands import loading
from mcp_queue.commands.calling import function_of, injected
from mcp_queue.commands.definition import accepts
from mcp_queue.commands.job import Job
from mcp_queue.errors import QueueError
from mcp_queue.jobs import events
from mcp_queue.values import NotJsonError, depth, to_json
from mcp_queue.worker.output import forget_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from mcp_queue.commands.contents import ContentEncoder
    from mcp_queue.worker.reporter import Reporter

_STOPPED = ("CancelledError", "JobStoppedError")
CONTENTS = "mcp_queue.commands.contents"  # a command that returns images or files has imported it
MESSAGE_LIMIT = 4096  # characters of an error's message; the whole text is in the log


def execute(spec: dict[str, Any], reporter: Reporter) -> dict[str, object]:
    """Run the job of ``job.json`` and return the fields of its ``outcome`` event."""
    stop = _Stop(reporter)
    try:
        function = _load(spec, stop)
        _preload_artifacts()
    except BaseException as error:
        return _failure("import_error", error)
    try:
        arguments = _arguments(spec, function, Job(spec["job_id"], spec["attempt"], reporter))
    except BaseException as error:
        return _failure("invalid_params", error)
    fields: dict[str, object] = {"status": "completed"}
    try:
        value = function(**arguments)
        if hasattr(value, "__await__"):
            value = _run_async(value, stop)
        if "job_class" in spec["call"]:
            fields, value = value
    except BaseException as error:
        if reporter.is_child:
            forked.leave(error)
        reporter.release_descriptors()
        return _failure("stopped" if stop.cancelled(error) else "exception", error)
    if reporter.is_child:
        forked.leave(None)
    reporter.release_descriptors()
    return _success(value, fields, reporter, spec["job_id"])


class _Stop:
    """SIGTERM sets ``stopping``, and cancels an async command while it runs."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.cancel: Callable[[], object] | None = None
        self._masks: dict[int, set[int]] = {}  # of threads that are forking
        if sys.platform != "win32":
            signal.signal(signal.SIGTERM, self._on_signal)
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork,
                after_in_child=self._become_child,
            )

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._reporter.stop()
        if self.cancel is not None:
            self.cancel()

    def _before_fork(self) -> None:
        """Block the signal until the child has its own handler."""
        if sys.platform != "win32":
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
            self._masks[get_ident()] = {*mask}

    def _after_fork(self) -> None:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(get_ident(), ()))

    def _become_child(self) -> None:
        """Restore the default handling of the signal in a child of the job."""
        self.cancel = None
        self._reporter.become_child()
        if signal.getsignal(signal.SIGTERM) == self._on_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._after_fork()

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return self._reporter.stop_asked

    def cancelled(self, error: BaseException) -> bool:
        """Whether the requested stop caused this exception."""
        return self._reporter.stop_asked and type(error).__name__ in _STOPPED


def _load(spec: dict[str, Any], stop: _Stop) -> Callable[..., Any]:
    call = spec["call"]
    if "job_class" not in call:
        info = loading.resolve(call["source"], spec["command"])
        return function_of(info)
    for source in call["also_load"]:
        loading.load_source(source)
    job_class = loading.resolve_class(call["source"], call["job_class"])

    def run_class(job: Job) -> tuple[dict[str, object], Any]:
        def run_async(awaitable: Awaitable[Any]) -> Any:
            return _run_async(awaitable, stop)

        return job_class.run_in_worker(spec["params"], job, run_async)

    return run_class


def _arguments(spec: dict[str, Any], function: Callable[..., Any], job: Job) -> dict[str, object]:
    call, arguments = spec["call"], spec["params"]
    if "job_class" in call:
        return {"job": job}
    if "duration" in arguments:
        job = _paced(arguments, function, job)
    if not call["plain"]:
        from mcp_queue.commands.schema import python_arguments

        arguments = python_arguments(function, arguments)
    return {**arguments, **injected(call["inject"], job=job, context=spec["context"])}


def _paced(params: dict[str, Any], function: Callable[..., Any], job: Job) -> Job:
    """A job with progress by time, if the call has a ``duration`` that the command ignores."""
    from mcp_queue.commands.pacing import Pace, pace_in

    wanted = pace_in(params)
    if wanted is None or accepts(function, "duration"):
        return job
    return Job(job.job_id, job.attempt, Pace(job.sink, *wanted))


def _run_async(awaitable: Awaitable[Any], stop: _Stop) -> Any:
    import asyncio

    async def run() -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if stop.requested:  # the stop came before the loop existed
            task.cancel()
        try:
            return await awaitable
        finally:
            stop.cancel = None

    return asyncio.run(run())


def _success(
    value: Any, fields: dict[str, object], reporter: Reporter, job_id: str
) -> dict[str, object]:
    try:
        if hasattr(value, "to_dict"):
            value = value.to_dict()
            if isinstance(value, dict) and value.get("success") is False:  # pyright: ignore[reportUnknownMemberType]
                fields = {"status": "failed", **_reported(value)}  # pyright: ignore[reportUnknownArgumentType]
    except BaseException as error:
        return _failure("exception", error)
    try:
        text = to_json(value, "result", _content_encoder(reporter, job_id))
    except NotJsonError as error:
        return {
            "status": "failed",
            "error_code": "result_not_serializable",
            "error_message": str(error)[:MESSAGE_LIMIT],
        }
    except BaseException as error:
        return _failure("result_not_serializable", error)
    size = len(text.encode())
    if size <= events.INLINE_RESULT and depth(text) <= events.INLINE_DEPTH:
        return {**fields, "result": text, "result_size": size}
    try:
        reporter.store_result(text)
    except OSError as error:
        return _failure("result_not_serializable", error)
    return {**fields, "result_size": size}


def _preload_artifacts() -> None:
    """Import the modules that store images and files while they can be found.

    A job may change the search path or the root folder.
    """
    if CONTENTS in sys.modules:
        import mimetypes

        __import__("mcp_queue.worker.artifacts")
        mimetypes.init()


def _content_encoder(reporter: Reporter, job_id: str) -> ContentEncoder | None:
    """The object that stores images and files of a result; None if it cannot have any."""
    if CONTENTS not in sys.modules:
        return None
    return reporter.artifacts().content_encoder(job_id)


def _reported(envelope: dict[str, Any]) -> dict[str, object]:
    error: Any = envelope.get("error") or {}
    message = error.get("message") if isinstance(error, dict) else error  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return {"error_code": "reported", "error_message": str(message)[:MESSAGE_LIMIT]}  # pyright: ignore[reportUnknownArgumentType]


def _failure(code: str, error: BaseException) -> dict[str, object]:
    """The outcome of an exception; its traceback goes to the job's log."""
    if code == "stopped":
        return {"status": "stopped"}
    try:
        import traceback

        forget_frames(error)
        traceback.print_exception(error, file=sys.stderr)
    except BaseException:  # a broken __str__, a closed stderr
        pass
    return {"status": "failed", "error_code": code, "error_message": _message(error)}


def _message(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = error.message if isinstance(error, QueueError) else str(error)
    except BaseException:
        return f"{name}: (its text cannot be made)"
    if isinstance(error, QueueError):
        return text[:MESSAGE_LIMIT]
    return (f"{name}: {text}" if text else name)[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()
