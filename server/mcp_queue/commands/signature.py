"""The parameters and the return type of a command's function (server side)."""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass
from functools import partial
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from mcp_queue.commands.definition import FILE_MODULE
from mcp_queue.commands.job import Job
from mcp_queue.errors import InvalidCommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.commands.definition import Definition

EMPTY = inspect.Parameter.empty
_SCALARS = (str, bytes, int, float, bool, list)
_RESERVED = {"job": "the Job", "context": "the context of the call"}
_INJECTED_TYPE = re.compile(r"(Optional\[)?(\w+\.)*(?P<name>Job|QueueManager)\]?(\s*\|\s*None)?")


class QueueManager:
    """Stands for the real manager, which this lower package must not import."""


@dataclass(frozen=True)
class Parameter:
    """A parameter that the caller gives. ``default`` is EMPTY if it is required."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True)
class Signature:
    """The parameters of a command. ``inject`` are those that the caller does not give.

    ``takes_any_name`` is true for ``**kwargs``. ``returns`` is EMPTY if the function has no return
    annotation, or one that cannot be resolved.
    """

    parameters: list[Parameter]
    inject: dict[str, str]
    takes_any_name: bool
    returns: Any


def signature_of(info: Definition) -> Signature:
    """Read the signature of a command. Raises InvalidCommandError if it cannot be called."""
    return read_signature(info.name, info.parameters_of, method=info.is_class)


def read_signature(command: str, function: Callable[..., Any], *, method: bool) -> Signature:
    """Read the signature of ``function``, without ``self`` if it is a ``method``."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise InvalidCommandError(command=command, reason=f"no signature: {error}") from error
    parameters: list[Parameter] = []
    inject: dict[str, str] = {}
    takes_any_name = False
    for parameter in signature.parameters.values():
        if parameter.name == "self" and method:
            continue
        _check_kind(command, parameter)
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_any_name = True
            continue
        annotation = _annotation(command, function, parameter)
        kind = _injected_kind(command, parameter.name, annotation)
        if kind:
            inject[parameter.name] = kind
        else:
            parameters.append(Parameter(parameter.name, annotation, parameter.default))
    return Signature(parameters, inject, takes_any_name, _returns(function, signature))


def is_plain(annotation: Any) -> bool:
    """Whether values of this type are the same in Python as in JSON."""
    if annotation in (EMPTY, Any, object, str, int, float, bool, None, types.NoneType, list, dict):
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        # Validators and custom schemas may turn a JSON value into anything.
        hooks = (hasattr(item, "__get_pydantic_core_schema__") for item in arguments[1:])
        return is_plain(arguments[0]) and not any(hooks)
    if origin is Literal:
        return all(type(value) in (str, int, bool, types.NoneType) for value in arguments)
    if origin is dict:
        return arguments[0] in (str, Any) and is_plain(arguments[1])
    if origin in (list, Union, types.UnionType):
        return all(is_plain(argument) for argument in arguments)
    return False


def _check_kind(command: str, parameter: inspect.Parameter) -> None:
    if parameter.kind is parameter.POSITIONAL_ONLY:
        reason = f"the parameter {parameter.name!r} is positional-only; callers give names"
    elif parameter.kind is parameter.VAR_POSITIONAL:
        reason = f"it takes *{parameter.name}; callers give names, so use a list parameter"
    elif parameter.name == "self":
        reason = "it is a method; make it a function, or the execute of a Command"
    else:
        return
    raise InvalidCommandError(command=command, reason=reason)


def _annotation(command: str, function: Any, parameter: inspect.Parameter) -> Any:
    try:
        return _evaluate(function, parameter.annotation)
    except Exception as error:
        # Job and QueueManager are often imported for the type checker only.
        known = _INJECTED_TYPE.fullmatch(str(parameter.annotation).strip("'\" "))
        if known:
            return Job if known["name"] == "Job" else QueueManager
        raise InvalidCommandError(
            command=command,
            reason=f"the annotation {parameter.annotation!r} of the parameter "
            f"{parameter.name!r} cannot be resolved: {error}",
        ) from error


def _returns(function: Any, signature: inspect.Signature) -> Any:
    try:
        return _evaluate(function, signature.return_annotation)
    except Exception:  # noqa: BLE001 (an annotation runs code of the author)
        return EMPTY


def _evaluate(function: Any, annotation: Any) -> Any:
    """An annotation as a type, also if it is a string."""

    def holder() -> None: ...

    if annotation is EMPTY:
        return EMPTY
    holder.__annotations__ = {"it": annotation}
    return get_type_hints(holder, globalns=_globals(function), include_extras=True)["it"]


def _globals(function: Any) -> dict[str, Any]:
    function = inspect.unwrap(function)
    if isinstance(function, partial):
        return _globals(function.func)  # pyright: ignore[reportUnknownMemberType]
    if not hasattr(function, "__globals__") and not isinstance(function, type):
        function = inspect.unwrap(type(function).__call__)
    return getattr(function, "__globals__", {})


def _injected_kind(command: str, name: str, annotation: Any) -> str | None:
    """The kind of value that the queue gives: ``job``, ``context``, ``queue``, or None."""
    members = _members(annotation)
    if name in _RESERVED:
        scalar = next((member for member in members if member in _SCALARS), None)
        if scalar is not None:
            raise InvalidCommandError(
                command=command,
                reason=f"the parameter {name!r} always gets {_RESERVED[name]}, "
                f"so it cannot be a {scalar.__name__}; give it another name",
            )
        return name
    for member in members:
        if member is Job:
            return "job"
        if _is_manager(member):
            return "queue"
    return None


def _is_manager(member: Any) -> bool:
    module = str(getattr(member, "__module__", ""))
    return (
        getattr(member, "__name__", "") == "QueueManager"
        and module.partition(".")[0] == "mcp_queue"
        and not module.startswith(FILE_MODULE)
    )


def _members(annotation: Any) -> list[Any]:
    """The types of a union, or the one type, without their generic arguments."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [origin or annotation]
