"""Text of others as it may be shown on a terminal: what would control it is written out.

Names of files, what a client sent and what a job printed may hold sequences that move the cursor,
set the window's title, write to the clipboard, or turn the order of letters round.
"""

from __future__ import annotations

_SPACES = frozenset("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))


def printable(text: str, *, lines: bool = False) -> str:
    """``text`` with all that is no visible character or space written as in Python: ``\\x1b``.

    That is C0 and C1 controls, DEL, marks of direction and of no width, halves of surrogate pairs,
    characters of private use and unassigned ones. With ``lines``, newlines and tabs stay.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(map(_line, text.replace("\r\n", "\n").split("\n")))
    return "".join(map(_shown, text))


def as_message(text: str) -> str:
    """``text`` as one message among others: each further line is indented, so that none of them
    can be taken for a message of its own."""
    return printable(text, lines=True).replace("\n", "\n    ")


def _line(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(letter if letter == "\t" else _shown(letter) for letter in line)


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in _SPACES:
        return letter
    return letter.encode("unicode_escape").decode()
