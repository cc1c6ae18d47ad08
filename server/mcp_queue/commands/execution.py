"""Call a registered command from the params of a `CommandExecutionJob`.

Only a running job imports this module, since it may import pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mcp_queue.commands import loading
from mcp_queue.commands.calling import function_of, injected
from mcp_queue.commands.catalog import registry as catalog
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
    if isinstance(modules, (list, tuple)) and not _are_texts(cast("list[object]", modules)):
        problems.append(f"auto_import_modules must be a list of modules, got {modules!r:.80}")
    if problems:
        raise InvalidParamsError(
            command="CommandExecutionJob",
            problems="; ".join(problems),
            advice=f"It takes {', '.join(name for name, _, _ in _EXPECTED)}.",
        )


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def own_params(info: CommandInfo, params: dict[str, Any]) -> dict[str, Any]:
    """``params`` without ``duration`` and ``steps``, if they pace the job and the command does not
    accept them."""
    schema = schema_of(info).input_schema
    if pace_in(params) is None or schema.get("additionalProperties") is not False:
        return params
    return {
        name: value
        for name, value in params.items()
        if name in schema["properties"] or name not in ("duration", "steps")
    }


def call_command(params: dict[str, Any], job: Job | None) -> tuple[Callable[[], Any], Pace | None]:
    """The prepared call of the command, and its `Pace`, if any.

    Raises InvalidParamsError, CommandLoadError and CommandNotFoundError.
    """
    check_shape(params)
    for module in params.get("auto_import_modules") or ():
        loading.load(module)
    info = catalog.get(params["command"])
    schema = schema_of(info)
    command_params: dict[str, Any] = params.get("params") or {}
    arguments = schema.call_arguments(own_params(info, command_params))
    pace = _pace(command_params, job)
    context: dict[str, Any] = params.get("context") or {}
    arguments |= injected(schema.inject, job=_job(job, pace), context=context)
    function = function_of(info)
    return lambda: function(**arguments), pace


def _pace(params: dict[str, Any], job: Job | None) -> Pace | None:
    pacing = pace_in(params)
    return None if pacing is None or job is None else Pace(job.sink, *pacing)


def _job(job: Job | None, pace: Pace | None) -> Job:
    if job is None:
        return Job("", 1, Sink())
    return Job(job.job_id, job.attempt, pace) if pace is not None else job
