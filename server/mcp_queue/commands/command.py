"""Commands: functions and classes of authors.

The definition of a command adds it to the catalog. This module does not examine the parameters: the
server does (``commands.schema``), since it would take too long in a worker.
"""

from __future__ import annotations

from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.commands.definition import accepts
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.intake import check_options, define, refuse
from mcp_queue.commands.options import OPTIONS
from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, ClassVar, TypeVar, overload

    from mcp_queue.commands.info import Task

    Function = TypeVar("Function", bound=Callable[..., Any])

BUILTIN_COMMANDS = (
    "queue_add_job",
    "queue_start_job",
    "queue_stop_job",
    "queue_answer_job",
    "queue_delete_job",
    "queue_get_job_status",
    "queue_get_job_logs",
    "queue_list_jobs",
    "queue_health",
    "queue_wait_job",
)
"""The names of the built-in commands; no other command can have them."""

if TYPE_CHECKING:

    @overload
    def command(fn: Function, /) -> Function: ...

    @overload
    def command(
        *,
        name: str | None = None,
        use_queue: bool = False,
        timeout: float | None = None,
        max_attempts: int = 1,
        memory_limit: int | str | None = None,
        task: Task = "optional",
        inline_wait: float | None = None,
        title: str | None = None,
        description: str | None = None,
        read_only: bool | None = None,
        destructive: bool | None = None,
        ask_for: Sequence[str] = (),
        conditions: Mapping[str, Any] | None = None,
    ) -> Callable[[Function], Function]: ...


def command(fn: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function a command, with ``@command`` or ``@command(...)``. It returns the function.

    ``name``: by default the function's. ``use_queue``: run as a job in a process of its own.
    ``timeout``: seconds after which the job is ended. ``max_attempts``: if more than 1, the job may
    run again after the loss of its worker or machine; an exception never causes another attempt.
    ``memory_limit``: the memory that all processes of the job may use together, in bytes or as a
    text such as ``"2GiB"``; beyond it they are killed.
    ``task``: whether the command may (``"optional"``), must (``"required"``) or must not
    (``"never"``) answer as an MCP task. ``inline_wait``: seconds for which a call without a task
    waits for its job; the answer is the result if the job ends in time, else the handle.
    ``ask_for``: parameters for which a form asks the person if the caller leaves them out.
    ``conditions``: JSON Schema keywords for several parameters together, such as
    ``{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}``, which types cannot express;
    clients see them, and they are checked before the call. Clients also see ``title``,
    ``description``, ``read_only`` and ``destructive``.

    Raises InvalidCommandError, or DuplicateCommandError if another command has the name. While a
    module is loaded for its commands, the error is recorded, and the rest of the module is loaded.
    """

    def register(function: Any) -> Any:
        define(lambda: _register_function(function, name, options))
        return function

    if isinstance(fn, str):  # the decorated function stays usable
        refuse(fn, f"its name is an option: write @command(name={fn!r})")
        return lambda function: function  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]
    return register if fn is None else register(fn)


def _register_function(function: Any, name: str | None, options: dict[str, Any]) -> None:
    if isinstance(function, type) or not callable(function):
        raise InvalidCommandError(
            command=name or getattr(function, "__name__", repr(function)),
            reason="@command is for functions; a class derives from Command instead",
        )
    command_name = getattr(function, "__name__", "") if name is None else name
    check_options(command_name, options, {*OPTIONS, "title", "description"})
    values: dict[str, Any] = {**options}
    info = CommandInfo(command_name, function, descr=values.pop("description", None), **values)
    _refuse_builtin_name(command_name)
    catalog.register_command(info)
    setattr(function, "__mcp_queue__", info)  # noqa: B010 - a function of any kind


def _refuse_builtin_name(name: str) -> None:
    if name in BUILTIN_COMMANDS:
        reason = "the queue has a tool of this name; choose another"
        raise InvalidCommandError(command=name, reason=reason)


class Command:
    """A command as a class: give it a ``name`` and an ``execute``, sync or async.

    The definition of a subclass with a ``name`` of its own registers it; a subclass without a name
    is a base for others. Each call gets a new instance, which is made without arguments.
    """

    name: ClassVar[str]
    descr: ClassVar[str | None] = None
    title: ClassVar[str | None] = None
    use_queue: ClassVar[bool] = False
    timeout: ClassVar[float | None] = None  # seconds
    max_attempts: ClassVar[int] = 1
    memory_limit: ClassVar[int | str | None] = None  # bytes, or a text such as "2GiB"
    task: ClassVar[Task] = "optional"
    inline_wait: ClassVar[float | None] = None  # seconds
    read_only: ClassVar[bool | None] = None
    destructive: ClassVar[bool | None] = None
    ask_for: ClassVar[Sequence[str]] = ()
    conditions: ClassVar[Mapping[str, Any] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__dict__.get("name") is not None:
            define(lambda: _register_class(cls))

    def execute(self, *args: Any, **params: Any) -> Any:
        """Do the work. It may be ``async def``."""
        raise NotImplementedError

    @classmethod
    async def run(cls, *, context: dict[str, Any] | None = None, **params: Any) -> Any:
        """Call the command in this process, and return the result of ``execute``.

        ``context`` is passed if ``execute`` has such a parameter. Parameters are passed without
        validation.
        """
        if accepts(cls.execute, "context"):
            params["context"] = context
        outcome = cls().execute(**params)
        return await outcome if hasattr(outcome, "__await__") else outcome


def _register_class(cls: type[Command]) -> None:
    if cls.execute is Command.execute:
        raise InvalidCommandError(
            command=cls.name, reason=f"the class {cls.__qualname__} has no execute method"
        )
    options = {option: getattr(cls, option) for option in OPTIONS}
    info = CommandInfo(cls.name, cls, descr=cls.descr, title=cls.title, **options)
    _refuse_builtin_name(cls.name)
    catalog.register_command(info)
    cls.__mcp_queue__ = info  # pyright: ignore[reportAttributeAccessIssue]
