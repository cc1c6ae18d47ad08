"""What is known of a command before anyone looks at its parameters, and what it may be."""

from __future__ import annotations

import sys

from mcp_queue.commands import options
from mcp_queue.commands.catalog import FILE_MODULE, registry
from mcp_queue.errors import InvalidCommandError
from mcp_queue.source_docs import docstring_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal

    Task = Literal["optional", "required", "never"]

_CO_GENERATOR = 0x20  # inspect.CO_GENERATOR and CO_ASYNC_GENERATOR, without importing inspect
_CO_ASYNC_GENERATOR = 0x200


class CommandInfo:
    """All that is known of a command without looking at its parameters.

    ``timeout`` and ``inline_wait`` are in seconds, ``memory_limit`` in bytes; ``max_attempts``
    counts the first one.
    ``target`` is the function or the Command class, ``parameters_of`` the function whose signature
    counts. ``source`` says how a worker finds the command: ``{"module": "pkg.mod"}`` or
    ``{"file": "/abs/path.py"}``, empty if it cannot.
    """

    __slots__ = (
        "ask_for",
        "conditions",
        "descr",
        "destructive",
        "inline_wait",
        "max_attempts",
        "memory_limit",
        "name",
        "parameters_of",
        "read_only",
        "source",
        "target",
        "task",
        "timeout",
        "title",
        "use_queue",
    )

    def __init__(
        self,
        name: str,
        target: Callable[..., Any],
        *,
        descr: str | None = None,
        title: str | None = None,
        use_queue: bool = False,
        timeout: float | None = None,
        max_attempts: int = 1,
        memory_limit: int | str | None = None,
        task: Task = "optional",
        inline_wait: float | None = None,
        read_only: bool | None = None,
        destructive: bool | None = None,
        ask_for: Sequence[str] = (),
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        options.check_name(name, target)
        options.check(
            name,
            {
                "title": title,
                "description": descr,
                "use_queue": use_queue,
                "timeout": timeout,
                "max_attempts": max_attempts,
                "task": task,
                "inline_wait": inline_wait,
                "read_only": read_only,
                "destructive": destructive,
            },
        )
        self.name = name
        self.target = target
        self.parameters_of: Callable[..., Any] = getattr(target, "execute", target)
        _check_function(name, self.parameters_of)
        self.ask_for = _ask_for(name, ask_for, self.parameters_of)
        self.conditions = options.keywords(name, conditions)
        self.descr = descr
        self.title = title or _title(name)
        self.use_queue = use_queue
        self.timeout = timeout
        self.max_attempts = max_attempts
        self.memory_limit = options.memory_limit(name, memory_limit)
        self.task = task
        self.inline_wait = inline_wait
        self.read_only = read_only
        self.destructive = destructive
        self.source = _source(target.__module__)

    @property
    def is_class(self) -> bool:
        """True for a Command class, False for a function."""
        return isinstance(self.target, type)

    @property
    def job_type(self) -> str:
        """The type that ``per_job_type_limits`` counts by."""
        return self.name

    @property
    def docstrings(self) -> list[str]:
        """The cleaned docstrings, the one nearest to the parameters first."""
        from inspect import cleandoc

        found = [docstring_of(self.parameters_of), docstring_of(self.target)]
        return [cleandoc(text) for text in dict.fromkeys(found) if text]

    @property
    def description(self) -> str:
        """The text given as description, else the whole docstring, cleaned."""
        if self.descr:
            from inspect import cleandoc

            return cleandoc(self.descr)
        docstrings = self.docstrings
        return docstrings[-1] if docstrings else ""

    def __repr__(self) -> str:
        return f"<CommandInfo {self.name!r} from {self.source}>"


OPTIONS = frozenset(CommandInfo.__init__.__kwdefaults__ or ()) - {"descr"}
"""What may be said of a command when it is defined, besides its name and description."""


def accepts(function: Callable[..., Any], parameter: str) -> bool:
    """Whether the function names such a parameter; ``**kwargs`` does not count."""
    code = _code(function)
    if code is None:
        return False
    return parameter in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _code(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return getattr(function, "__code__", None)


def _ask_for(name: str, ask_for: object, function: Callable[..., Any]) -> tuple[str, ...]:
    given = options.names(name, ask_for)
    for each in given:
        if _code(function) is not None and not accepts(function, each):
            raise InvalidCommandError(command=name, reason=f"ask_for: it has no parameter {each!r}")
    return given


def _check_function(name: str, function: object) -> None:
    if not callable(function):
        reason = f"execute is a method, got {options.shown(function)}"
        raise InvalidCommandError(command=name, reason=reason)
    code = _code(function)
    if code is not None and code.co_flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise InvalidCommandError(
            command=name, reason="it yields; a command returns its result, a list for example"
        )


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def _source(module_name: str) -> dict[str, str]:
    """How a worker, which has another ``__main__``, finds what ``module_name`` defines."""
    if registry.source is not None:
        return dict(registry.source)
    if module_name.startswith(FILE_MODULE):
        return {"file": str(sys.modules[module_name].__file__)}
    if module_name != "__main__":
        return {"module": module_name}
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":  # a folder or an archive that was started
        return {"module": spec.name}
    file = getattr(main, "__file__", None)
    if file is None:
        return {}
    import os.path

    return {"file": os.path.abspath(file)}
