"""Texts from the docstrings of a command: a summary, and a description of each parameter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADINGS = (
    "args|arguments|params|parameters|keyword args|keyword arguments|attributes|returns?|yields"
    "|raises|warns|warnings?|notes?|examples?|see also"
)
_FIELDS = "param|type|returns?|rtype|raises?"
_SECTION = re.compile(
    rf"^\s*(({_HEADINGS})\s*:?\s*$|[:@]({_FIELDS})\b)", re.IGNORECASE | re.MULTILINE
)


def summary(text: str) -> str:
    """The first paragraph of a cleaned docstring as one line, without any section."""
    section = _SECTION.search(text)
    prose = text[: section.start()] if section else text
    return " ".join(prose.strip().split("\n\n")[0].split())


def parameter_descriptions(docstrings: Iterable[str]) -> dict[str, str]:
    """Parameter name → description, in google, numpy or sphinx style. The first one wins."""
    descriptions: dict[str, str] = {}
    for text in docstrings:
        if _SECTION.search(text):
            for name, description in _parse(text).items():
                descriptions.setdefault(name, description)
    return descriptions


def _parse(text: str) -> dict[str, str]:
    from docstring_parser import ParseError, parse

    try:
        # The parser cleans the text again. Without the line break it would dedent the lines after a
        # heading in the first line.
        parameters = parse("\n" + text).params
    except ParseError:
        return {}
    return {
        parameter.arg_name: " ".join(parameter.description.split())
        for parameter in parameters
        if parameter.description
    }
