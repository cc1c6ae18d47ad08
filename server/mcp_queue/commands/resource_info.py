"""The definition of a resource, and the check of its address."""

from __future__ import annotations

from mcp_queue.commands.definition import Definition, accepts
from mcp_queue.errors import InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

QUEUE = "queue://"  # the beginning of the queue's own addresses
_SCHEME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.")


class ResourceInfo(Definition):
    """The definition of a resource. ``variables`` are the parameters in its ``uri``."""

    def __init__(
        self,
        uri: str,
        name: str,
        target: Callable[..., Any],
        *,
        descr: str | None = None,
        title: str | None = None,
        mime_type: str | None = None,
        updated_by: str | Sequence[str] = (),
    ) -> None:
        super().__init__(name, target, descr=descr, title=title)
        self.uri = uri
        self.variables = _variables(name, uri)
        for variable in self.variables:
            if not accepts(target, variable):
                raise InvalidCommandError(
                    command=name, reason=f"its address has {{{variable}}}, but no such parameter"
                )
        self.mime_type = _mime_type(name, mime_type)
        self.updated_by = _commands(name, updated_by)


def pieces(uri: str) -> list[tuple[str, str | None, bool]]:
    """The pieces of a template: a literal text, the variable after it, and whether the variable
    stands for several segments. Raises ValueError with the reason."""
    parts: list[tuple[str, str | None, bool]] = []
    rest = uri
    while rest:
        literal, brace, rest = rest.partition("{")
        if "}" in literal:
            raise ValueError("it has a '}' without a '{'")
        expression, closing, rest = rest.partition("}")
        many = expression.startswith("+")
        variable = expression[1:] if many else expression
        if brace and not (closing and variable.isidentifier()):
            raise ValueError(f"{{{expression}{closing} is neither {{name}} nor {{+name}}")
        parts.append((literal, variable if brace else None, many))
    return parts


def _variables(name: str, uri: object) -> tuple[str, ...]:
    if not isinstance(uri, str):
        raise InvalidCommandError(command=name, reason=f"its address is a text, got {uri!r}")
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest or not scheme[:1].isalpha() or not _SCHEME.issuperset(scheme):
        reason = f"its address begins with a scheme, as in notes://today, got {uri!r:.200}"
    elif uri.startswith(QUEUE):
        reason = f"addresses that begin with {QUEUE} are the queue's own; choose another scheme"
    else:
        try:
            variables = [variable for _, variable, _ in pieces(uri) if variable is not None]
        except ValueError as error:
            reason = f"in its address {uri!r:.200}, {error}"
        else:
            if len(set(variables)) == len(variables):
                return tuple(variables)
            reason = f"its address {uri!r:.200} names a parameter twice"
    raise InvalidCommandError(command=name, reason=reason)


def _mime_type(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and "/" in value.strip("/")):
        return value
    reason = f"mime_type is a text such as 'text/markdown', got {value!r:.80}"
    raise InvalidCommandError(command=name, reason=reason)


def _commands(name: str, value: Any) -> tuple[str, ...]:
    names: Any = (value,) if isinstance(value, str) else value
    if isinstance(names, (tuple, list)) and all(isinstance(each, str) for each in names):  # pyright: ignore[reportUnknownVariableType]
        return tuple(str(each) for each in names)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    reason = f"updated_by is the name of a command, or a tuple of names, got {value!r:.80}"
    raise InvalidCommandError(command=name, reason=reason)
