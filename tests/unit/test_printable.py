"""What others wrote is shown on a terminal as what it is, and controls nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies

from mcp_queue.printable import as_message, printable

HARMFUL = [
    *("\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;aGk=\x1b\\", "\x9b2J", "\x9d0;title\x9c", "\x7f"),
    *("\x08\x08", "\r", "\x0b", "\x00", "\u202egpj.exe", "\u2066x\u2069", "\u200b", "\ufeff"),
    *("\u2028", "\x85", "\U000e0041", "\udcff"),
]


@pytest.mark.parametrize("text", HARMFUL)
@pytest.mark.parametrize("lines", [True, False])
def test_what_controls_a_terminal_is_written_out(text: str, lines: bool) -> None:
    shown = printable(f"a{text}z", lines=lines)
    assert shown.isprintable()
    assert "\\" in shown


def test_what_is_seen_is_left_as_it_is() -> None:
    for text in ("", "plain", "[/nope]", "naïve 日本語 \u3000 क्षत्रिय 😀", "a\u00a0b", "C:\\new"):
        assert printable(text) == text
    assert printable("\x1b[31m") == "\\x1b[31m"
    assert printable("\u202e") == "\\u202e"


def test_newlines_stay_where_they_are_asked_for() -> None:
    assert printable("a\n\tb\r\nc\rd", lines=True) == "a\n\tb\nc\\rd"
    assert printable("a\n\tb") == "a\\n\\tb"


def test_a_message_has_one_line_that_begins_one() -> None:
    shown = as_message("a\nmcp-queue: b\r\nmcp-queue: c\n")
    assert shown == "a\n    mcp-queue: b\n    mcp-queue: c\n    "


@given(strategies.text(strategies.characters(exclude_categories=())))
def test_no_control_comes_through(text: str) -> None:
    for lines in (True, False):
        kept = set(printable(text, lines=lines)) - (set("\n\t") if lines else set())
        assert not {letter for letter in kept if unicodedata.category(letter)[0] == "C"}
