"""Jobs as classes, for full control, and the job that runs a registered command.

The names are those of the system that this project re-implements. A worker loads such a class by
its import path and runs it. The setters of an object that was made outside a worker have no effect.
"""

from __future__ import annotations

from mcp_queue.commands.asking import nobody_to_ask
from mcp_queue.commands.job import AskMethods
from mcp_queue.errors import InvalidParamsError, QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from logging import Logger
    from typing import Any

    from mcp_queue.commands.asking import QuestionChannel
    from mcp_queue.commands.job import Job
    from mcp_queue.questions import JobQuestion


class QueueJobStatus:
    """The states of a job, as text."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    DELETED = "deleted"


_STATUSES = {
    "pending": QueueJobStatus.RUNNING,
    "queued": QueueJobStatus.RUNNING,
    "running": QueueJobStatus.RUNNING,
    "in_progress": QueueJobStatus.RUNNING,
    "completed": QueueJobStatus.COMPLETED,
    "success": QueueJobStatus.COMPLETED,
    "failed": QueueJobStatus.FAILED,
    "error": QueueJobStatus.FAILED,
    "stopped": QueueJobStatus.STOPPED,
    "interrupted": QueueJobStatus.STOPPED,
    "deleted": QueueJobStatus.STOPPED,
}


class QueueJobBase(AskMethods):
    """A job as a class: derive from it, write ``run``, give the class to `QueueManager.add_job`.

    ``run`` may be ``async``. Calls of `set_mcp_result`, `set_mcp_error` and `set_status` take
    effect when it returns; the last call wins. An exception fails the job. ``logger`` writes to
    the job's ``stderr.log``. ``stopping`` becomes true when a stop is requested.
    """

    _job: Job | None = None
    _run_async: Callable[[Awaitable[Any]], Any] | None = None
    _status: str = QueueJobStatus.RUNNING
    _result: Any = None
    _error: str | None = None
    _error_code: str = "reported"
    _description: str | None = None

    if TYPE_CHECKING:
        logger: Logger
        stopping: bool

    def __init__(self, job_id: str, params: dict[str, Any]) -> None:
        self.job_id = job_id
        self.mcp_params = self.params = params

    def __getattr__(self, name: str) -> Any:
        # A subclass may set its own ``logger``, and a job without log lines saves the import of
        # logging.
        if name == "logger":
            self.logger = _new_logger(self.job_id)
            return self.logger
        if name == "stopping":
            return self._job is not None and self._job.stopping
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: a child process that gets the job or one of its methods can report, too."""
        return {k: v for k, v in self.__dict__.items() if k not in ("logger", "_run_async")}

    def run(self) -> Any:
        """Do the work, with ``self.mcp_params``."""
        raise NotImplementedError(f"{type(self).__name__} has no run method")

    def execute(self) -> Any:
        """The worker calls this; it calls `run`."""
        return self.run()

    def on_start(self) -> None:
        """Called before the work."""

    def on_end(self) -> None:
        """Called after the work has returned."""

    def on_stop(self) -> None:
        """Called in place of `on_end` if a stop was requested meanwhile."""

    def on_error(self, exc: Exception) -> None:
        """Called after the work has raised an exception. The job fails in any case."""

    def _question_channel(self, questions: Sequence[JobQuestion]) -> QuestionChannel:
        if self._job is None:
            raise nobody_to_ask(questions, "the job does not run in a worker")
        return self._job._question_channel(questions)  # pyright: ignore[reportPrivateUsage]

    def set_status(self, status: str) -> None:
        """Set how the job ends (``completed``, ``failed``, ``stopped``) once ``run`` returns.

        ``pending`` and ``running`` undo earlier calls. Other words are ignored, with one line in
        the log.
        """
        known = _STATUSES.get(str(status).strip().lower())
        if known is None:
            self.logger.warning("set_status ignored: %.80r is no status of a job", status)
        else:
            self._status = known

    def set_progress(self, progress: float) -> None:
        """Report the progress in percent, clamped to 0..100."""
        if self._job is not None:
            self._job.set_progress(progress)

    def set_description(self, description: str) -> None:
        """Describe the current work, in at most 1,024 characters; the rest is cut off."""
        self._description = str(description)
        if self._job is not None:
            self._job.set_description(description)

    def artifact(self, name: str, data: Any = None, **about: Any) -> str | None:
        """Store a file with the job, as `Job.artifact` does. Returns None outside a worker."""
        return self._job.artifact(name, data, **about) if self._job is not None else None

    def set_result(self, result: Any) -> None:
        """Store the result only."""
        self._result = result

    def set_mcp_result(self, result: Any, status: str | None = None) -> None:
        """Store the result, which is any JSON value. The job ends as ``status``.

        Without ``status`` the job ends as ``completed``, or as ``failed`` if that is the ``status``
        in the result. A ``description`` in the result becomes the job's description.
        """
        own: dict[Any, Any] = {**result} if isinstance(result, dict) else {}
        failed = _STATUSES.get(str(own.get("status")).lower()) == QueueJobStatus.FAILED
        self._status = QueueJobStatus.FAILED if failed else QueueJobStatus.COMPLETED
        self._result, self._error = result, None
        if status is not None:
            self.set_status(status)
        if self._status != QueueJobStatus.COMPLETED:
            message = own.get("error") or own.get("message")
            self._error = str(message) if message else None
        if "description" in own:
            self.set_description(own["description"])

    def set_mcp_error(self, message: str, status: str = "failed") -> None:
        """End the job as ``status``. ``message`` becomes its error and its description."""
        self.logger.error("%s", message)
        self._status = QueueJobStatus.FAILED
        self.set_status(status)
        self.set_description(message)
        self._error = str(message)
        self._result = {"status": "error", "message": str(message)}

    @classmethod
    def run_in_worker(
        cls, params: dict[str, Any], job: Job, run_async: Callable[[Awaitable[Any]], Any]
    ) -> tuple[dict[str, object], Any]:
        """Run a job of this class, in a worker.

        Returns the fields of its outcome event, and its result.
        """
        instance = cls.__new__(cls)
        # Before the constructor, which may report, too.
        instance._job, instance._run_async = job, run_async
        instance.__init__(job.job_id, params)
        try:
            instance.on_start()
            value = instance.execute()
            if hasattr(value, "__await__"):
                value = run_async(value)
            if job.stopping:
                instance.on_stop()
            else:
                instance.on_end()
        except Exception as error:
            instance.on_error(error)
            raise
        return instance._outcome(value)

    def _outcome(self, returned: Any) -> tuple[dict[str, object], Any]:
        """The fields of the outcome event, and the result, by default ``returned``."""
        result = returned if self._result is None else self._result
        if self._status not in (QueueJobStatus.FAILED, QueueJobStatus.STOPPED):
            return {"status": QueueJobStatus.COMPLETED}, result
        fields: dict[str, object] = {"status": self._status, "reported": True}
        message = self._error
        if message is None and self._status == QueueJobStatus.FAILED:
            message = self._description or "the job set its status to failed"
        if message is not None:
            fields |= {"error_code": self._error_code, "error_message": message}
        return fields, result


class CommandExecutionJob(QueueJobBase):
    """Runs a registered command, which the job's params name.

    ``command``: its name. ``params``: its parameters. ``context``: the value for its parameter
    ``context``. ``auto_import_modules``: modules, or paths of files, to load first, so that they
    register their commands. If ``params`` have a number ``duration`` of seconds, and perhaps a
    number of ``steps`` (10), the job reports progress by the clock until the command reports its
    own.
    """

    def run(self) -> None:
        """Call the command. Its return value is the job's result; an exception fails the job."""
        from mcp_queue.commands.execution import call_command

        try:
            call, pace = call_command(self.mcp_params, self._job)
        except QueueError as error:
            self._error_code = (
                "invalid_params" if isinstance(error, InvalidParamsError) else "import_error"
            )
            self.set_mcp_error(error.message)
            return
        try:
            value = call()
            if hasattr(value, "__await__"):
                value = self._await(value)
        finally:
            if pace is not None:
                pace.stop()
        self._result = value

    def _await(self, awaitable: Awaitable[Any]) -> Any:
        if self._run_async is not None:
            return self._run_async(awaitable)
        import asyncio

        async def run() -> Any:
            return await awaitable

        return asyncio.run(run())


def _new_logger(job_id: str) -> Logger:
    import logging

    # Not from logging.getLogger: an author's configuration of logging would write each line twice.
    logger = logging.Logger(f"mcp_queue.job.{job_id}")  # noqa: LOG001
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger
