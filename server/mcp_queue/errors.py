"""The errors that callers can get. The docstring of each class is its message.

An error says what is wrong and with which value (``message``), and what to do (``hint``). Both are
templates that are filled with the keyword arguments. The arguments are also available as
``details``.
"""

from __future__ import annotations

from mcp_queue.source_docs import docstring_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class QueueError(Exception):
    """The queue could not do this: {reason}."""

    code = "queue_error"
    hint = "queue_health shows the state of the queue."
    place: str | None = None
    """File and line of the fault, if they are known and not part of the message."""

    def __init__(self, **details: object) -> None:
        self.details = details
        self.message = _template(type(self)).format(**details)
        self.hint = type(self).hint.format(**details)
        super().__init__(self.message)
        if self.hint:
            self.add_note(self.hint)  # Python prints it with the traceback

    @property
    def text(self) -> str:
        """The whole error for a person: place, message and hint."""
        begin = f"{self.place}: " if self.place else ""
        return f"{begin}{self.message} {self.hint}"

    def to_dict(self) -> dict[str, str]:
        """The error as clients see it: ``code``, ``message``, ``hint``."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


def interrupts(error: BaseException) -> bool:
    """Whether it comes from Ctrl-C, and was not raised by an author's code."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    import signal

    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def cause_of(error: BaseException) -> str:
    """The type and the text of an exception that other code raised."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - an author's __str__ may raise anything
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _template(error: type[QueueError]) -> str:
    lines = (docstring_of(error) or error.__name__).split("\n")
    return " ".join(line.strip() for line in lines if line.strip())


class JobNotFoundError(QueueError):
    """No job has the id {job_id!r:.200}."""

    code = "job_not_found"
    hint = "queue_list_jobs shows the jobs that are known; past their retention they are forgotten."


class JobAlreadyExistsError(QueueError):
    """A job with the id {job_id!r} exists already."""

    code = "job_already_exists"
    hint = "Choose another job_id, or leave it out to get a new one."


class InvalidJobStateError(QueueError):
    """Job {job_id!r} is {status}; it cannot be {action}."""

    code = "invalid_job_state"
    hint = "{advice}"


class QueueFullError(QueueError):
    """The queue is full: {limit} is {value}, and as many jobs have not ended."""

    code = "queue_full"
    hint = (
        "Nothing was queued and nothing is lost. Submit again when a job has ended (queue_wait_job "
        "tells), stop or delete one that is not needed, or raise {limit} in the configuration."
    )


class QueueBoundError(QueueFullError):
    """The queue is full: {value:,} jobs have not ended, and no registry takes more."""

    hint = (
        "Nothing was queued and nothing is lost. Submit again when jobs have ended; stop or delete "
        "those that are not needed. max_queue_size sets a lower limit."
    )


class DiskCapError(QueueFullError):
    """The registry and the files of its jobs take {used} bytes; disk_cap_bytes allows {cap}."""

    code = "disk_cap"
    hint = (
        "Nothing was queued and nothing is lost. Delete jobs that are not needed (queue_delete_job)"
        ", shorten completed_job_retention_seconds, or raise disk_cap_bytes in the configuration."
    )


class QueueDisabledError(QueueError):
    """The queue is switched off, so {command!r} cannot be queued."""

    code = "queue_disabled"
    hint = 'Set "enabled": true in the queue_manager configuration and restart the server.'


class CommandNotFoundError(QueueError):
    """No command is named {command!r:.200}.{near}"""

    code = "command_not_found"
    hint = "The resource queue://commands lists all commands."


class ConsentError(QueueError):
    """{command!r} is destructive and not {action} by name: consent is given to its own tool."""

    code = "consent_needed"
    hint = (
        "Call the tool {command!r} itself, for which the user is asked; it queues the job and "
        "starts it. With queue_destructive_by_name in the configuration its name is enough."
    )


class InvalidParamsError(QueueError):
    """Wrong parameters for {command!r}: {problems}."""

    code = "invalid_params"
    hint = "{advice}"


class InvalidQuestionError(QueueError):
    """The question {key!r} cannot be asked: {reason}."""

    code = "invalid_question"
    hint = (
        "Ask with a flat pydantic model, with a {{name: type}} of str, int, float, bool, date, "
        "datetime, Literal or Enum of texts, or without a schema for yes or no."
    )


class NobodyToAskError(QueueError):
    """The person cannot be asked {message!r:.200}: {reason}."""

    code = "nobody_to_ask"
    hint = "{advice}"


class AskTimeoutError(QueueError, TimeoutError):
    """Nobody answered within {timeout:g} seconds: {keys}."""

    code = "ask_timeout"
    hint = "Give ask a longer timeout, or go on without the answer."

    answers: dict[str, Any]
    """The answers that arrived in time, by key."""


class JobStoppedError(QueueError):
    """A stop was asked while the job waited for an answer."""

    code = "job_stopped"
    hint = "Let it end the job; what is raised after a stop was asked counts as stopped."


class DeclinedError(QueueError):
    """The user was asked for {names} of {command!r}, and declined."""

    code = "declined"
    hint = "Nothing was run. Do not ask again on your own; go on without it, or give the values."


class QuestionNotOpenError(QueueError):
    """Job {job_id!r} does not wait for an answer{to}: {reason}."""

    code = "question_not_open"
    hint = "{advice}"


class PersonAloneError(QueueError):
    """Only the person can answer {key!r} of job {job_id!r}, in a form; a tool call cannot."""

    code = "person_alone"
    hint = (
        "Do not answer it yourself. Where the client shows forms, it is shown to the user while "
        "queue_wait_job waits for the job, or as a form of its task; elsewhere tell the user that "
        "it waits for them, and end your turn."
    )


class InvalidAnswerError(QueueError):
    """The answer to {key!r} of job {job_id!r} does not fit: {problems}."""

    code = "invalid_answer"
    hint = "{advice}"


class InvalidJobClassError(QueueError):
    """{job_class} cannot be run as a job: {reason}."""

    code = "invalid_job_class"
    hint = "{advice}"


class InvalidContentError(QueueError):
    """{name} cannot be kept: {reason}."""

    code = "invalid_content"
    hint = "The command's author has to correct it; see Image, Audio, File, Link and job.artifact."


class ArtifactCapError(InvalidContentError):
    """{name} cannot be kept: a job keeps at most {cap:,} bytes of files (artifact_cap_bytes)."""

    code = "artifact_cap"
    hint = (
        "Keep less, or raise artifact_cap_bytes in the configuration. What was kept before stays."
    )


class ArtifactNotFoundError(QueueError):
    """Job {job_id!r} has no artifact named {name!r}."""

    code = "artifact_not_found"
    hint = "queue_get_job_status lists the artifacts of a job."


class PathRefusedError(QueueError, ValueError):
    """The path {path!r:.200} is refused: {reason}."""

    code = "path_refused"
    hint = "Give the path of something that lies in the folder, relative to the folder."


class NotGuardedError(QueueError):
    """A queue was opened by {place} while that was loaded for what it defines."""

    code = "not_guarded"
    hint = 'Put what starts the program under `if __name__ == "__main__":`.'


class InvalidCommandError(QueueError):
    """{command!r} is not well defined: {reason}."""

    code = "invalid_command"
    hint = "Correct the definition and start the server again."


class DuplicateCommandError(QueueError):
    """Two {what} are named {command!r}: one in {first}, one in {second}."""

    code = "duplicate_command"
    hint = "Give one of them another name."


class CommandLoadError(QueueError):
    """Cannot load commands from {spec!r}: {cause} ({place})."""

    code = "import_error"
    hint = (
        "Correct the module, or remove it from the configuration; the other commands still serve."
    )


class ModuleMissingError(CommandLoadError):
    """Cannot load commands from {spec!r}: {cause} ({place})."""

    hint = (
        "It was looked for in {folders}. Name a file by its path, such as ./{spec}.py, add the "
        "folder that holds the module to PYTHONPATH, or install its package for {python}."
    )


class CheckFailedError(QueueError):
    """The parameters of {command!r} cannot be checked: {cause}."""

    code = "exception"
    hint = "A check that its author wrote raised it; the traceback is in the server's log."


class ConfigurationError(QueueError):
    """The setting {key!r} from {source} is wrong: {reason}, got {value}."""

    code = "invalid_configuration"
    hint = "{allowed}"


class SettingIgnoredError(QueueError):
    """The setting {key!r} ({value}) is ignored: {reason}."""

    code = "setting_ignored"
    hint = "{advice}"


class ListenError(QueueError):
    """Cannot serve HTTP on {address!r}: {reason}."""

    code = "cannot_listen"
    hint = "{advice}"


class TokenError(QueueError):
    """MCP_QUEUE_HTTP_TOKEN holds no token that can be used: {reason}."""

    code = "unusable_token"
    hint = (
        "Set it to what this prints: python3 -c 'import secrets; print(secrets.token_urlsafe())'. "
        "Without the variable, a new token is made and lies in a file."
    )


class TokenFileError(QueueError):
    """The token for HTTP cannot be kept in {path}: {reason}."""

    code = "token_file"
    hint = "Make room for it there, or set MCP_QUEUE_HTTP_TOKEN to a token of your own."


class RegistryError(QueueError):
    """The registry {path} cannot be used: {reason}."""

    code = "registry_error"
    hint = "{advice}"


class RegistryGoneError(RegistryError):
    """The registry {path} is gone: {reason}. Nothing was changed."""

    hint = (
        "Restart the server, which makes what is missing. Jobs whose registry was removed are lost."
    )


class RegistryDamagedError(RegistryError):
    """The registry {path} is damaged: {reason}."""


class RegistryUntrustedError(RegistryError):
    """The registry {path} is not used, it is not yours alone: {reason}."""


class KeyFileError(QueueError):
    """The key by which jobs are known as yours, {path}, cannot be used: {reason}."""

    code = "key_unusable"
    hint = "{advice}"


class HomelessError(QueueError):
    """There is no folder for {what}: {reason}."""

    code = "no_home"
    hint = "Set HOME or XDG_DATA_HOME to an absolute path, or {alternative}."


class RegistryBusyError(QueueError):
    """The registry {path} is locked by another process; nothing was changed."""

    code = "registry_busy"
    hint = "Try again; if it stays, look for a stopped process that holds the registry."


class SupervisorError(QueueError):
    """No supervisor can be started: {reason}."""

    code = "supervisor_failed"
    hint = (
        "Nothing is lost: what waits starts by itself once a supervisor can be started, so do not "
        "call again. Tell the user the reason; {log} may say more."
    )


class QueueClosedError(QueueError):
    """The queue manager was closed."""

    code = "queue_closed"
    hint = "Open another one; persistent jobs go on, and it knows them."


class ManagerMissingError(QueueError):
    """There is no global queue manager yet."""

    code = "manager_missing"
    hint = "Call `await init_global_queue_manager()` first, or pass `manager=`."


QueueJobError = QueueError  # the documented name of what the manager raises
