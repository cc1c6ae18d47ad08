"""Call a registered command from the params of a `CommandExecutionJob`.

It may import pydantic, so it is imported only by a job that runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mcp_queue.commands import loading
from mcp_queue.commands.calling import function_of, injected
from mcp_queue.commands.catalog import registry
from mcp_queue.commands.job import Job, Sink
from mcp_queue.commands.pacing import Pace, pace_in
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import InvalidParamsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_queue.commands.info import CommandInfo

_EXPECTED = (
    ("command", str, "the name of a command"),
    ("params", dict, "an object"),
    ("context", dict, "an object"),
    ("auto_import_modules", (list, tuple), "a list of modules"),
)


def check_shape(params: dict[str, Any]) -> None:
    """Raise InvalidParamsError unless these are params of a `CommandExecutionJob`."""
    problems: list[str] = []
    for name, kind, words in _EXPECTED:
        value = params.get(name)
        if not isinstance(value, kind) and (value is not None or name == "command"):
            problems.append(f"{name} must be {words}, got {value!r:.80}")
    modules = params.get("auto_import_modules")
    if isinstance(modules, (list, tuple)) and not _are_text(cast("list[object]", modules)):
        problems.append(f"auto_import_modules must be a list of modules, got {modules!r:.80}")
    if problems:
        raise InvalidParamsError(
            command="CommandExecutionJob",
            problems="; ".join(problems),
            advice=f"It takes {', '.join(name for name, _, _ in _EXPECTED)}.",
        )


def _are_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def own_params(info: CommandInfo, params: dict[str, Any]) -> dict[str, Any]:
    """``params`` without a ``duration`` and ``steps`` that pace the job and that the command,
    which does not take them, would refuse."""
    schema = schema_of(info).input_schema
    if pace_in(params) is None or schema.get("additionalProperties") is not False:
        return params
    return {
        name: value
        for name, value in params.items()
        if name in schema["properties"] or name not in ("duration", "steps")
    }


def call_command(params: dict[str, Any], job: Job | None) -> tuple[Callable[[], Any], Pace | None]:
    """The call of the command, ready to be made, and what paces it, if anything does.

    Raises InvalidParamsError, CommandLoadError and CommandNotFoundError.
    """
    check_shape(params)
    for module in params.get("auto_import_modules") or ():
        loading.load(module)
    info = registry.get(params["command"])
    schema = schema_of(info)
    given: dict[str, Any] = params.get("params") or {}
    arguments = schema.call_arguments(own_params(info, given))
    pace = _pace(given, job)
    context: dict[str, Any] = params.get("context") or {}
    arguments |= injected(schema.inject, job=_job(job, pace), context=context)
    function = function_of(info)
    return lambda: function(**arguments), pace


def _pace(params: dict[str, Any], job: Job | None) -> Pace | None:
    wanted = pace_in(params)
    return None if wanted is None or job is None else Pace(job.sink, *wanted)


def _job(job: Job | None, pace: Pace | None) -> Job:
    if job is None:
        return Job("", 1, Sink())
    return Job(job.job_id, job.attempt, pace) if pace is not None else job
