"""The answer to a question, as every process and the command hold it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Answer:
    """What the person answered.

    ``action`` is ``"accept"``, ``"decline"`` (said no to the question) or ``"cancel"`` (closed
    it without a choice). ``content`` holds the values by field, as the types that were asked for,
    and is empty unless accepted; of a question without a schema it is ``{"confirm": True}`` or
    ``{"confirm": False}``. An answer is true when it was accepted and, for yes or no, says yes.
    """

    # No dataclass: commands import it, and that costs 10 ms of a worker's start.
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
