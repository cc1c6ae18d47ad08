"""The answer to a question in memory, the same in every process and in a command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Answer:
    """The answer of the person.

    ``action`` is ``"accept"``, ``"decline"`` (the person refused) or ``"cancel"`` (the person
    closed the form without a choice). ``content`` has the values by field, in the types that were
    asked for. It is empty unless the person accepted. For a question without a schema it is
    ``{"confirm": True}`` or ``{"confirm": False}``. An answer is true if the person accepted and,
    to a question of yes or no, answered yes.
    """

    # No dataclass: a worker imports this module, and dataclasses would cost it 10 ms at its start.
    __slots__ = ("action", "content")

    def __init__(self, action: str, content: dict[str, Any] | None = None) -> None:
        self.action = action
        self.content: dict[str, Any] = content or {}

    def __bool__(self) -> bool:
        return self.action == "accept" and self.content != {"confirm": False}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer):
            return NotImplemented
        return (self.action, self.content) == (other.action, other.content)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"Answer({self.action!r}, {self.content!r})"
