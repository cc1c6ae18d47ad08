"""Make the description of a job for its worker from a command or a job class, with params.

A class is stored as its import path, params as JSON. A class or params that a worker could not use
are refused here, with the reason.
"""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.commands.classic import CommandExecutionJob, QueueJobBase
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.intake import intake
from mcp_queue.errors import (
    InvalidCommandError,
    InvalidJobClassError,
    InvalidParamsError,
    NotGuardedError,
)
from mcp_queue.jobs.record import JOB_ID
from mcp_queue.manager import job_params

TOP_LEVEL = "Define the class at the top level of a module or script, and pass the class itself."
NO_FILE = "it was defined in an interactive session or with python -c, where no worker finds it"


@dataclass(frozen=True, slots=True)
class JobCall:
    """``params`` and ``call`` of a job, JSON texts."""

    params: str
    call: str


def of_command(info: CommandInfo, params: object, context: dict[str, Any] | None) -> JobCall:
    """A call of a command. Raises InvalidParamsError and InvalidCommandError."""
    from mcp_queue.commands.schema import schema_of

    schema = schema_of(info)
    checked = schema.validate(params)
    if not info.source:
        raise InvalidCommandError(command=info.name, reason=NO_FILE)
    call = {
        "source": info.source,
        "plain": schema.plain,
        "inject": schema.inject,
        "context": context,
    }
    return JobCall(job_params.to_json(info.name, checked), _text(call, info))


def of(job_class: object, params: object) -> tuple[CommandInfo, JobCall]:
    """The call of a job class, a command or its name, as `QueueManager.add_job` takes them.

    The CommandInfo has the name, type and limits of the job; for a job class those of the class.
    """
    if isinstance(job_class, str):
        return _of_command(catalog.get(job_class), params)
    if _is_job_class(job_class):
        return _of_class(job_class, params)
    command = getattr(job_class, "__dict__", {}).get("__mcp_queue__")
    if isinstance(command, CommandInfo):
        return _of_command(command, params)
    raise _refused(job_class, _why_no_job_class(job_class))


def check_id(job_id: object, command: str) -> str:
    """The caller's ``job_id``, if it is valid. Raises InvalidParamsError."""
    if isinstance(job_id, str) and JOB_ID.fullmatch(job_id) is not None:
        return job_id
    raise InvalidParamsError(
        command=command,
        problems=f"job_id cannot be {job_id!r:.80}",
        advice="A job_id has 1 to 128 letters, digits, '.', '_' or '-' and begins with a "
        "letter or digit; leave it out to get a new one.",
    )


def refuse_while_loading() -> None:
    """Raise NotGuardedError if a module opens a queue while it is loaded for its commands.

    In a worker that would queue the script's jobs again, and so on in the workers of those.
    """
    if intake.source is not None:
        place = intake.source.get("file") or intake.source["module"]
        raise NotGuardedError(place=place)


def _is_job_class(given: object) -> TypeGuard[type[QueueJobBase]]:
    return isinstance(given, type) and issubclass(given, QueueJobBase)


def _of_command(info: CommandInfo, params: object) -> tuple[CommandInfo, JobCall]:
    return info, of_command(info, params, None)


def _of_class(job_class: type[QueueJobBase], params: object) -> tuple[CommandInfo, JobCall]:
    if not isinstance(params, dict):
        raise InvalidParamsError(
            command=job_class.__name__,
            problems=f"params are a dict, got {params!r:.80}",
            advice="Pass a dict with values that JSON can hold.",
        )
    given = cast("dict[str, Any]", params)
    text = job_params.to_json(job_class.__name__, given)
    if reason := _why_not_loadable(job_class):
        raise _refused(job_class, reason)
    info = CommandInfo(job_class.__name__, job_class, use_queue=True)
    if not info.source:
        raise _refused(job_class, NO_FILE)
    call: dict[str, Any] = {
        "source": info.source,
        "job_class": job_class.__qualname__,
        "also_load": [],
    }
    if issubclass(job_class, CommandExecutionJob):
        command = _checked_command(given)
        if command is not None:
            call["also_load"] = [command.source]
        info = command or CommandInfo(given["command"], job_class, use_queue=True)
    return info, JobCall(text, _text(call, info))


def _text(call: dict[str, Any], info: CommandInfo) -> str:
    """The call as JSON. It says if the command is destructive, for other servers."""
    return json.dumps(call | {"destructive": True} if info.destructive else call)


def _checked_command(params: dict[str, Any]) -> CommandInfo | None:
    """The command of a `CommandExecutionJob`, with its params checked.

    None if only its worker can find it, as that imports the named modules. Raises
    InvalidParamsError, CommandNotFoundError.
    """
    from mcp_queue.commands.execution import check_shape, own_params
    from mcp_queue.commands.schema import schema_of

    check_shape(params)
    name = params["command"]
    info = catalog.find(name)
    if info is None:
        if params.get("auto_import_modules"):
            return None
        return catalog.get(name)
    schema_of(info).validate(own_params(info, params.get("params") or {}))
    if not info.source:
        raise InvalidCommandError(command=info.name, reason=NO_FILE)
    return info


def _why_not_loadable(job_class: type[QueueJobBase]) -> str | None:
    if job_class.run is QueueJobBase.run and job_class.execute is QueueJobBase.execute:
        return "it has no run method"
    if inspect.isgeneratorfunction(job_class.run):
        return "its run yields, so calling it does nothing"
    if "<locals>" in job_class.__qualname__:
        return "it is defined inside a function, where no worker finds it"
    if _was_typed_in(job_class):
        return NO_FILE
    found: Any = sys.modules.get(job_class.__module__)
    for part in job_class.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not job_class:
        return f"the module {job_class.__module__!r} has another thing under this name"
    return None


def _was_typed_in(job_class: type[QueueJobBase]) -> bool:
    """Whether its code is in no file. Some consoles set a file name that does not exist."""
    own = vars(job_class)
    code = getattr(own.get("run") or own.get("execute"), "__code__", None)
    return code is not None and code.co_filename.startswith("<")


def _why_no_job_class(given: object) -> str:
    if getattr(given, "__name__", "") == "<lambda>":
        return "it is a lambda, which has no name that a worker could find it by"
    if isinstance(given, QueueJobBase):
        return "it is a job already made, not its class"
    if isinstance(given, type):
        return "the class neither derives from QueueJobBase nor is a command with a name"
    if callable(given):
        return "it is a function that is no command"
    return "it is neither a class derived from QueueJobBase nor the name of a command"


def _refused(given: object, reason: str) -> InvalidJobClassError:
    words = f"The class {given.__qualname__}" if isinstance(given, type) else f"{given!r:.80}"
    return InvalidJobClassError(job_class=words, reason=reason, advice=TOP_LEVEL)
