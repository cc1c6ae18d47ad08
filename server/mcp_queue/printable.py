"""Escape control characters in text from other sources, before it is shown on a terminal.

File names, texts from clients and output of jobs may contain sequences that move the cursor, set
the window's title, write to the clipboard, or reverse the order of letters.
"""

from __future__ import annotations

DESCRIPTION_LIMIT = 1024  # characters of what a job says it is doing
_SPACES = frozenset("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))


def printable(text: str, *, lines: bool = False) -> str:
    """``text`` with all characters except visible ones and spaces escaped as in Python: ``\\x1b``.

    These are C0 and C1 controls, DEL, direction marks, zero-width characters, halves of surrogate
    pairs, private-use and unassigned characters. With ``lines``, newlines and tabs stay.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(map(_line, text.replace("\r\n", "\n").split("\n")))
    return "".join(map(_escaped, text))


def as_message(text: str) -> str:
    """``text`` as one message; further lines are indented, so that none looks like a message."""
    return printable(text, lines=True).replace("\n", "\n    ")


def _line(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(letter if letter == "\t" else _escaped(letter) for letter in line)


def _escaped(letter: str) -> str:
    if letter.isprintable() or letter in _SPACES:
        return letter
    return letter.encode("unicode_escape").decode()
