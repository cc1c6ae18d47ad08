"""Names that are near to one that nobody knows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 256  # bytes of a name to which near ones are sought: that costs its length squared


def near(name: str, known: Iterable[str], most: int) -> list[str]:
    """The names nearest to ``name``, at most ``most``; none for a name that is too long."""
    if len(name) > LONGEST or len(name.encode("utf-8", "replace")) > LONGEST:
        return []
    from difflib import get_close_matches

    return get_close_matches(name, list(known), n=most)
