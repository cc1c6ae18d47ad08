"""Ranking of names for a query, with the same rules for every search."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_WORD = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\s_.:\-A-Za-z0-9]+", re.ASCII
)

EXACT, SAME_LETTERS, SAME_WORDS, PREFIX, WORD_PARTS, INSIDE = range(6)


class Query(NamedTuple):
    """A query for a name; ``owner`` is the part before its last dot."""

    name: str
    owner: str
    words: tuple[str, ...]

    @property
    def compact(self) -> str:
        """The words joined together."""
        return "".join(self.words)


def read_query(text: str) -> Query:
    """The query in a text like ``BaseModel``, ``base model``, ``BM``, ``main.BaseModel``,
    ``pydantic/main.py`` or ``f()``."""
    plain = unicodedata.normalize("NFKC", text.strip()).removesuffix("()")
    if plain.endswith(".py"):
        plain = plain[:-3].replace("/", ".").replace("\\", ".").removesuffix(".__init__")
    owner, _, name = plain.rpartition(".")
    return Query(name, owner.strip("."), tuple(words_of(name)))


def rank(name: str, query: Query) -> int | None:
    """The rank of a name, one of the constants above: 0 is best; None is no match."""
    if not query.name:
        return None
    if name == query.name:
        return EXACT
    if name.lower() == query.name.lower():
        return SAME_LETTERS
    if not query.words:
        return None
    folded = fold(name)
    if folded == query.compact:
        return SAME_WORDS
    if folded.startswith(query.compact):
        return PREFIX
    if _in_words(words_of(name), query) or _is_initials(name, query):
        return WORD_PARTS
    return INSIDE if query.compact in folded else None


def rank_import(module: str, name: str, query: Query) -> int | None:
    """The rank of ``import module`` or ``from module import name``."""
    target = f"{module}.{name}" if name else module
    wanted = f"{query.owner}.{query.name}" if query.owner else query.name
    if wanted in (module, target):
        return EXACT
    dotted, part = f".{target}.".lower(), f".{wanted}.".lower()
    if not query.name:
        return None
    if dotted.startswith(part):
        return PREFIX
    if part in dotted:
        return WORD_PARTS
    return INSIDE if wanted.lower() in target.lower() else None


def words_of(name: str) -> list[str]:
    """``HTTPServer_v2`` → http, server, v, 2."""
    return [word.lower() for word in _WORD.findall(name)]


def fold(name: str) -> str:
    """The name in lower case, without underscores."""
    return name.lower().replace("_", "")


def initials(name: str) -> str:
    """The first letters of the name's words."""
    return "".join(word[0] for word in words_of(name))


def _in_words(words: list[str], query: Query) -> bool:
    """Whether the words of the query are beginnings of words of the name, in the same order."""
    remaining = iter(words)
    return all(any(word.startswith(part) for word in remaining) for part in query.words)


def _is_initials(name: str, query: Query) -> bool:
    return len(query.compact) > 1 and initials(name).startswith(query.compact)
