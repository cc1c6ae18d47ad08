"""Jobs as classes, for full control, and the job that runs a registered command.

The names are those of the system that this project re-implements. Such a class is loaded by its
import path and run in a worker; made by hand, outside a worker, its setters reach nobody.
"""

from __future__ import annotations

from mcp_queue.commands.asking import nobody
from mcp_queue.commands.job import Asks
from mcp_queue.errors import InvalidParamsError, QueueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from logging import Logger
    from typing import Any

    from mcp_queue.commands.asking import Asking
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


class QueueJobBase(Asks):
    """A job as a class: derive from it, write ``run``, give the class to `QueueManager.add_job`.

    ``run`` may be ``async``. What it reports with `set_mcp_result`, `set_mcp_error` and
    `set_status` takes effect when it returns, the last call wins; an exception fails the job.
    ``logger`` writes to the job's ``stderr.log``; ``stopping`` turns true when a stop was asked.
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
        # Only for what no attribute is: a subclass may set its own ``logger``, and who logs
        # nothing does not pay for the import of logging.
        if name == "logger":
            self.logger = _new_logger(self.job_id)
            return self.logger
        if name == "stopping":
            return self._job is not None and self._job.stopping
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        """For a child process that gets the job, or a method of it: it may report, too."""
        return {k: v for k, v in self.__dict__.items() if k not in ("logger", "_run_async")}

    def run(self) -> Any:
        """Do the work, with ``self.mcp_params``."""
        raise NotImplementedError(f"{type(self).__name__} has no run method")

    def execute(self) -> Any:
        """What a worker calls; it calls `run`."""
        return self.run()

    def on_start(self) -> None:
        """Called before the work."""

    def on_end(self) -> None:
        """Called when the work has returned."""

    def on_stop(self) -> None:
        """Called instead of `on_end` when a stop was asked meanwhile."""

    def on_error(self, exc: Exception) -> None:
        """Called when the work has raised; the job fails all the same."""

    def _asking(self, questions: Sequence[JobQuestion]) -> Asking:
        if self._job is None:
            raise nobody(questions, "the job does not run in a worker")
        return self._job._asking(questions)  # pyright: ignore[reportPrivateUsage]

    def set_status(self, status: str) -> None:
        """Say how the job ends (``completed``, ``failed``, ``stopped``) once ``run`` returns.

        ``pending`` and ``running`` take back what was said; another word is ignored, with one
        line in the log.
        """
        known = _STATUSES.get(str(status).strip().lower())
        if known is None:
            self.logger.warning("set_status ignored: %.80r is no status of a job", status)
        else:
            self._status = known

    def set_progress(self, progress: float) -> None:
        """Report percent, clamped to 0..100."""
        if self._job is not None:
            self._job.set_progress(progress)

    def set_description(self, description: str) -> None:
        """Say what is being done, in at most 1,024 characters; the rest is cut."""
        self._description = str(description)
        if self._job is not None:
            self._job.set_description(description)

    def artifact(self, name: str, data: Any = None, **about: Any) -> str | None:
        """Keep a file with the job, as `Job.artifact` does; None outside a worker."""
        return self._job.artifact(name, data, **about) if self._job is not None else None

    def set_result(self, result: Any) -> None:
        """Store the result, and nothing else."""
        self._result = result

    def set_mcp_result(self, result: Any, status: str | None = None) -> None:
        """Store the result: anything that JSON can hold. The job ends as ``status``.

        Without it as ``completed``, or as ``failed`` when the result says so in its own
        ``status``; a ``description`` in the result becomes the job's.
        """
        own: dict[Any, Any] = {**result} if isinstance(result, dict) else {}
        said = _STATUSES.get(str(own.get("status")).lower())
        self._status = said if said == QueueJobStatus.FAILED else QueueJobStatus.COMPLETED
        self._result, self._error = result, None
        if status is not None:
            self.set_status(status)
        if self._status != QueueJobStatus.COMPLETED:
            message = own.get("error") or own.get("message")
            self._error = str(message) if message else None
        if "description" in own:
            self.set_description(own["description"])

    def set_mcp_error(self, message: str, status: str = "failed") -> None:
        """End the job as ``status``, with ``message`` as its error and its description."""
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
        """For workers: run a job of this class.

        The answer is the fields of its outcome event, and its result.
        """
        instance = cls.__new__(cls)
        instance._job, instance._run_async = job, run_async  # the constructor may report already
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
        """The fields of the outcome event, and the result; ``returned`` if none was set."""
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
    """Runs a registered command, named in the job's params.

    ``command``: its name. ``params``: its parameters. ``context``: what a parameter ``context``
    of it gets. ``auto_import_modules``: modules, or paths of files, that are loaded first, so
    that they register their commands. With a number of seconds ``duration`` in ``params``, and
    of ``steps`` (10), the progress follows the clock until the command reports its own.
    """

    def run(self) -> None:
        """Call the command; what it returns is the job's result, what it raises fails the job."""
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
                value = self._awaited(value)
        finally:
            if pace is not None:
                pace.stop()
        self._result = value

    def _awaited(self, awaitable: Awaitable[Any]) -> Any:
        if self._run_async is not None:
            return self._run_async(awaitable)
        import asyncio

        async def run() -> Any:
            return await awaitable

        return asyncio.run(run())


def _new_logger(job_id: str) -> Logger:
    import logging

    # Of its own, so that an author's configuration of logging does not write each line twice.
    logger = logging.Logger(f"mcp_queue.job.{job_id}")  # noqa: LOG001
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger
