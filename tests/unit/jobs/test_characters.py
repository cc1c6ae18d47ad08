"""No page, tail, cursor or gap breaks a character of UTF-8 that the run wrote whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.jobs import logs
from mcp_queue.jobs.capped_log import Gap, torn_end, torn_start, write_gap
from mcp_queue.jobs.run_folder import RunFolder

RUN = "0123456789abcdef"
BROKEN = "\ufffd"
OUT = ("stdout",)

characters = st.characters(exclude_characters=f"\n\r{BROKEN}", exclude_categories=["Cs"])
texts = st.text(characters | st.sampled_from("aéß日本😀"), max_size=60)
lines = st.text(characters | st.sampled_from("a日😀\n"), max_size=60)


def folder_with(path: str, data: bytes) -> RunFolder:
    folder = RunFolder(path)
    Path(folder.stdout).write_bytes(data)
    return folder


def append(folder: RunFolder, data: bytes) -> None:
    with Path(folder.stdout).open("ab") as file:
        file.write(data)


def walk(folder: RunFolder, cursor: str, *, ended: bool, page: int) -> tuple[list[str], str]:
    shown: list[str] = []
    while True:
        found = logs.since(folder, RUN, OUT, cursor, ended=ended, page=page)
        if found.cursor == cursor:
            assert (found.stdout, found.more) == ([], False)
            return shown, cursor
        shown += found.stdout
        cursor = found.cursor


@given(lines, st.integers(1, 40))
def test_the_pieces_of_a_walk_are_the_text(text: str, page: int) -> None:
    with tempfile.TemporaryDirectory() as path:
        shown, _ = walk(folder_with(path, text.encode()), logs.START, ended=True, page=page)
    assert "".join(shown) == text.replace("\n", "")


@given(lines, st.lists(st.integers(0, 240), max_size=8), st.integers(1, 40))
def test_so_are_they_while_a_run_writes_byte_by_byte(text: str, cuts: list[int], page: int) -> None:
    data, seen, cursor, written = text.encode(), "", logs.START, 0
    with tempfile.TemporaryDirectory() as path:
        folder = folder_with(path, b"")
        for cut in [*sorted(cuts), len(data)]:
            append(folder, data[written:cut])
            written = max(written, cut)
            shown, cursor = walk(folder, cursor, ended=False, page=page)
            seen += "".join(shown)
        shown, _ = walk(folder, cursor, ended=True, page=page)
    assert seen + "".join(shown) == text.replace("\n", "")


@given(texts, st.data())
def test_a_tail_passes_over_no_half_character(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as path:
        folder = folder_with(path, whole[:cut])
        for count in (5, 0):
            page = logs.tail(folder, RUN, OUT, count)
            append(folder, whole[cut:])
            shown, _ = walk(folder, page.cursor, ended=True, page=logs.PAGE)
            # What was there of a character was shown as broken, its whole comes behind.
            before = (
                "".join(page.stdout).rstrip(BROKEN)
                if count
                else whole[:cut].decode("utf-8", "ignore")
            )
            assert before + "".join(shown) == text
            folder = folder_with(path, whole[:cut])


@given(st.binary(max_size=8))
def test_what_is_no_character_is_half_of_none(data: bytes) -> None:
    """What is put off as torn may still become a character, and nothing else is put off."""
    torn = torn_end(data)
    rest = data[len(data) - torn :]
    assert torn <= 3
    if torn:
        assert rest.decode("utf-8", "ignore") == ""
        assert 0xC2 <= rest[0] <= 0xF4
    assert torn_start(data) <= 3


@given(texts)
def test_halves_of_a_character_are_seen(text: str) -> None:
    data = text.encode()
    for cut in range(len(data) + 1):
        head, tail = data[:cut], data[cut:]
        assert head[: cut - torn_end(head)].decode() + tail[torn_start(tail) :].decode() in (
            text,
            text[: len(head.decode("utf-8", "ignore"))]
            + text[len(head.decode("utf-8", "ignore")) + 1 :],
        )


@given(texts, st.data(), st.booleans(), st.integers(1, 60))
def test_a_gap_leaves_no_half_characters(
    text: str, data: st.DataObject, cut: bool, page: int
) -> None:
    whole = text.encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    if start == end:
        return
    hole = b"" if cut else b"\0" * (end - start)
    with tempfile.TemporaryDirectory() as path:
        folder = folder_with(path, whole[:start] + hole + whole[end:])
        write_gap(folder.stdout, Gap(start, end, cut))
        head = whole[:start].decode("utf-8", "ignore")
        tail = whole[end:].decode("utf-8", "ignore")
        missing = len(whole) - len(head.encode()) - len(tail.encode())
        expected = f"{head}… {missing} bytes left out …{tail}"
        shown, _ = walk(folder, logs.START, ended=True, page=page)
        assert "".join(shown) == expected
        assert "".join(logs.tail(folder, RUN, OUT, 9).stdout) == expected
        assert logs.sizes(folder) == (len(whole), 0)


@given(texts.filter(bool), st.integers(4, 40))
def test_a_tail_of_one_endless_line_begins_with_a_whole_character(text: str, size: int) -> None:
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "PAGE", size)
        patch.setattr(logs, "BLOCK", size)
        [line] = logs.tail(folder_with(path, text.encode()), RUN, OUT, 3).stdout
    assert text.endswith(line)


def test_a_log_of_broken_characters_is_shown_to_its_end(tmp_path: Path) -> None:
    folder = folder_with(str(tmp_path), b"\xe6\x97" * 100)
    shown, cursor = walk(folder, logs.START, ended=True, page=5)
    assert "".join(shown) == BROKEN * 100
    assert cursor == f"{RUN[:8]}.200.0"
