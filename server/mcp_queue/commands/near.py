"""Suggestions of similar names for an unknown name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAME_LIMIT = 256  # bytes of a name: the search takes time in proportion to the square of its length


def near(name: str, known: Iterable[str], limit: int) -> list[str]:
    """At most ``limit`` names that are similar to ``name``; none if ``name`` is too long."""
    if len(name) > NAME_LIMIT or len(name.encode("utf-8", "replace")) > NAME_LIMIT:
        return []
    from difflib import get_close_matches

    return get_close_matches(name, list(known), n=limit)
