"""The common base of commands, prompts and resources: a name, a function and its descriptions."""

from __future__ import annotations

import os
import sys

from mcp_queue.commands import options
from mcp_queue.commands.intake import intake
from mcp_queue.errors import InvalidCommandError
from mcp_queue.source_docs import docstring_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FILE_MODULE = "mcp_queue.files."  # the beginning of the names of modules that are loaded by path
_CO_GENERATOR = 0x20  # inspect.CO_GENERATOR and CO_ASYNC_GENERATOR, without importing inspect
_CO_ASYNC_GENERATOR = 0x200


class Definition:
    """The definition of a command, prompt or resource, without an examination of its parameters.

    ``target`` is the function or the Command class, ``parameters_of`` the function that has the
    parameters. ``descr`` is the text given as description. ``source`` tells a worker where to find
    the definition: ``{"module": "pkg.mod"}``, ``{"file": "/abs/path.py"}``, or empty if there is no
    way.
    """

    def __init__(
        self,
        name: str,
        target: Callable[..., Any],
        *,
        descr: str | None = None,
        title: str | None = None,
    ) -> None:
        options.check_name(name, target)
        options.check(name, {"title": title, "description": descr})
        self.name = name
        self.target = target
        self.parameters_of: Callable[..., Any] = getattr(target, "execute", target)
        _check_function(name, self.parameters_of)
        self.descr = descr
        self.title = title or _title(name)
        self.source = _source(target.__module__)

    @property
    def is_class(self) -> bool:
        """True for a Command class, False for a function."""
        return isinstance(self.target, type)

    @property
    def docstrings(self) -> list[str]:
        """The cleaned docstrings; the one of the function with the parameters comes first."""
        from inspect import cleandoc

        docstrings = [docstring_of(self.parameters_of), docstring_of(self.target)]
        return [cleandoc(text) for text in dict.fromkeys(docstrings) if text]

    @property
    def description(self) -> str:
        """The text given as description, else the whole docstring, cleaned."""
        if self.descr:
            from inspect import cleandoc

            return cleandoc(self.descr)
        docstrings = self.docstrings
        return docstrings[-1] if docstrings else ""

    @property
    def place(self) -> str | None:
        """File and line of the definition; None if Python does not know them."""
        code = code_of(self.parameters_of)
        return f"{code.co_filename}, line {code.co_firstlineno}" if code is not None else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} from {self.source}>"


def accepts(function: Callable[..., Any], parameter: str) -> bool:
    """Whether the function has a parameter of this name; ``**kwargs`` does not count."""
    code = code_of(function)
    if code is None:
        return False
    return parameter in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def code_of(function: Any) -> Any:
    """The code of the innermost wrapped function; None if it is not written in Python."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return getattr(function, "__code__", None)


def _check_function(name: str, function: object) -> None:
    if not callable(function):
        reason = f"execute is a method, got {options.shown(function)}"
        raise InvalidCommandError(command=name, reason=reason)
    code = code_of(function)
    if code is not None and code.co_flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise InvalidCommandError(
            command=name, reason="it yields; a command returns its result, a list for example"
        )


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def _source(module_name: str) -> dict[str, str]:
    """Where a worker, which has another ``__main__``, finds the definitions of ``module_name``."""
    if intake.source is not None:
        return dict(intake.source)
    if module_name.startswith(FILE_MODULE):
        return {"file": str(sys.modules[module_name].__file__)}
    if module_name != "__main__":
        return {"module": module_name}
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":  # the program is a folder or an archive
        return {"module": spec.name}
    file = getattr(main, "__file__", None)
    if file is None:
        return {}
    return {"file": os.path.abspath(file)}
