"""The definition and the options of a command, without an examination of its parameters."""

from __future__ import annotations

from mcp_queue.commands import options
from mcp_queue.commands.definition import Definition, accepts, code_of
from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    Task = Literal["optional", "required", "never"]


class CommandInfo(Definition):
    """The definition and the options of a command.

    ``timeout`` and ``inline_wait`` are in seconds, ``memory_limit`` in bytes. ``max_attempts``
    includes the first attempt. `options.OPTIONS` has the defaults.
    """

    use_queue: bool
    timeout: float | None
    max_attempts: int
    memory_limit: int | None
    task: Task
    inline_wait: float | None
    read_only: bool | None
    destructive: bool | None
    ask_for: tuple[str, ...]
    conditions: dict[str, Any]

    def __init__(
        self,
        name: str,
        target: Callable[..., Any],
        *,
        descr: str | None = None,
        title: str | None = None,
        **values: Any,
    ) -> None:
        super().__init__(name, target, descr=descr, title=title)
        for option, value in options.complete(name, values).items():
            setattr(self, option, value)
        for parameter in self.ask_for:
            if code_of(self.parameters_of) is not None and not accepts(
                self.parameters_of, parameter
            ):
                reason = f"ask_for: it has no parameter {parameter!r}"
                raise InvalidCommandError(command=name, reason=reason)

    @property
    def job_type(self) -> str:
        """The job type for ``per_job_type_limits``."""
        return self.name
