"""Commands: what an author writes, as a function or as a class.

A command is registered in the catalog when it is defined. Nothing here looks at its parameters:
that is the server's work (``commands.schema``), and costs too much in a worker.
"""

from __future__ import annotations

from mcp_queue.commands.catalog import registry
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

OF_THE_QUEUE = (
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
"""The names of the built-in commands, which no other can have."""

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
    """Make a function a command, bare (``@command``) or with options; the function stays as it is.

    ``name``: the function's, unless given. ``use_queue``: run as a job in a process of its own.
    ``timeout``: seconds after which the job is ended. ``max_attempts``: more than 1 says that it
    may be run again when its worker or machine is lost; what it raises is never tried again.
    ``memory_limit``: bytes, or a text such as ``"2GiB"``, that all processes of the job together
    may have in memory; past it they are killed.
    ``task``: whether it may (``"optional"``), must (``"required"``) or may never (``"never"``)
    answer as an MCP task. ``inline_wait``: seconds for which a call that is answered without a
    task waits for its job; the answer is the result if the job ends in time, else the handle.
    ``ask_for``: the parameters that the person is asked for, by a form, when the caller leaves
    them out. ``conditions``: JSON Schema keywords between parameters, such as
    ``{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}``, that the types cannot say;
    they are shown to clients and checked before the call. ``title``, ``description``,
    ``read_only`` and ``destructive`` are shown to clients.

    Raises InvalidCommandError, or DuplicateCommandError if another command has the name; while a
    module is loaded for its commands, that is noted, and the rest of the module is taken in.
    """

    def register(function: Any) -> Any:
        define(lambda: _register_function(function, name, options))
        return function

    if isinstance(fn, str):  # whatever it is used on stays as it is
        refuse(fn, f"its name is an option: write @command(name={fn!r})")
        return lambda function: function  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]
    return register if fn is None else register(fn)


def _register_function(function: Any, name: str | None, options: dict[str, Any]) -> None:
    if isinstance(function, type) or not callable(function):
        raise InvalidCommandError(
            command=name or getattr(function, "__name__", repr(function)),
            reason="@command is for functions; a class derives from Command instead",
        )
    own = getattr(function, "__name__", "") if name is None else name
    check_options(own, options, {*OPTIONS, "title", "description"})
    given: dict[str, Any] = {**options}
    info = CommandInfo(own, function, descr=given.pop("description", None), **given)
    _refuse_names_of_the_queue(own)
    registry.register_command(info)
    setattr(function, "__mcp_queue__", info)  # noqa: B010 - a function of any kind


def _refuse_names_of_the_queue(name: str) -> None:
    if name in OF_THE_QUEUE:
        reason = "the queue has a tool of this name; choose another"
        raise InvalidCommandError(command=name, reason=reason)


class Command:
    """A command as a class: give it a ``name`` and an ``execute``, sync or async.

    A subclass with a ``name`` of its own is registered when it is defined; one without is a base
    for others. Each call gets a new instance, made without arguments.
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
        """Do the work; ``async def`` works as well."""
        raise NotImplementedError

    @classmethod
    async def run(cls, *, context: dict[str, Any] | None = None, **params: Any) -> Any:
        """Call the command here, in this process, and return what ``execute`` returns.

        ``context`` reaches an ``execute`` that names such a parameter. Parameters are passed as
        they are, without validation.
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
    given = {option: getattr(cls, option) for option in OPTIONS}
    info = CommandInfo(cls.name, cls, descr=cls.descr, title=cls.title, **given)
    _refuse_names_of_the_queue(cls.name)
    registry.register_command(info)
    cls.__mcp_queue__ = info  # pyright: ignore[reportAttributeAccessIssue]
