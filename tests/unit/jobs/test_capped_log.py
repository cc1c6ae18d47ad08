"""Logs whose middle is left out: readers jump over it, say so once, and take no NUL for a hole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.jobs import logs
from mcp_queue.jobs.capped_log import NO_GAP, CappedLog, Gap, consistent, read_gap, write_gap
from mcp_queue.jobs.run_folder import RunFolder

RUN = "0123456789abcdef"
BOTH = logs.STREAMS

parts = st.text("ab\0\n", min_size=1, max_size=40).map(str.encode)


def _lines(data: bytes) -> list[str]:
    lines = data.decode().split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _mark(length: int) -> str:
    return f"… {length} bytes left out …"


def _log(path: str, head: bytes, missing: int, tail: bytes, cut: bool) -> RunFolder:
    folder = RunFolder(path)
    Path(folder.stdout).write_bytes(head + (b"" if cut else b"\0" * missing) + tail)
    write_gap(folder.stdout, Gap(len(head), len(head) + missing, cut))
    return folder


def _walk(folder: RunFolder, offset: int, size: int = logs.PAGE) -> list[str]:
    shown: list[str] = []
    cursor = f"{RUN[:8]}.{offset}.0"
    while True:
        page = logs.since(folder, RUN, BOTH, cursor, ended=True, page=size)
        if page.cursor == cursor:
            assert not page.stdout
            assert not page.more
            return shown
        shown += page.stdout
        cursor = page.cursor


@given(parts, st.integers(1, 99), parts, st.booleans(), st.integers(1, 60))
def test_a_tail_shows_what_is_kept_and_a_mark(
    head: bytes, missing: int, tail: bytes, cut: bool, count: int
) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = _log(path, head, missing, tail, cut)
        page = logs.tail(folder, RUN, BOTH, count)
        assert page.stdout == [*_lines(head), _mark(missing), *_lines(tail)][-count:]
        assert logs.since(folder, RUN, BOTH, page.cursor, ended=True).stdout == []
        assert logs.sizes(folder) == (len(head) + missing + len(tail), 0)
        assert logs.count_lines(folder, "stdout") == len(_lines(head + tail))


@given(parts, st.integers(1, 99), parts, st.booleans(), st.data())
def test_a_walk_jumps_over_what_is_left_out(
    head: bytes, missing: int, tail: bytes, cut: bool, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = _log(path, head, missing, tail, cut)
        assert _walk(folder, 0) == [*_lines(head), _mark(missing), *_lines(tail)]
        inside = data.draw(st.integers(0, missing - 1))
        shown = _walk(folder, len(head) + inside)
        assert shown == [_mark(missing - inside), *_lines(tail)]
        behind = data.draw(st.integers(0, len(tail)))
        shown = _walk(folder, len(head) + missing + behind)
        assert shown == _lines(tail[behind:])


@given(parts, st.integers(1, 99), parts, st.booleans(), st.integers(1, 9))
def test_pages_lose_nothing_and_mark_once(
    head: bytes, missing: int, tail: bytes, cut: bool, page: int
) -> None:
    with tempfile.TemporaryDirectory() as path:
        shown = "".join(_walk(_log(path, head, missing, tail, cut), 0, page))
    assert shown == (head.decode() + _mark(missing) + tail.decode()).replace("\n", "")


def test_a_cursor_keeps_its_meaning_when_more_is_left_out(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    Path(folder.stdout).write_bytes(b"".join(b"line %d\n" % n for n in range(10)))
    first = logs.since(folder, RUN, BOTH, logs.tail(None, RUN, BOTH, 0).cursor, ended=False)
    assert len(first.stdout) == 10
    with Path(folder.stdout).open("ab") as file:
        file.write(b"line 10\nline 11\n")
    write_gap(folder.stdout, Gap(7, 70))
    assert logs.since(folder, RUN, BOTH, first.cursor, ended=False).stdout == ["line 10", "line 11"]
    write_gap(folder.stdout, Gap(7, 78))
    shown = logs.since(folder, RUN, BOTH, first.cursor, ended=False).stdout
    assert shown == [_mark(8), "line 11"]


def test_what_was_left_out_meanwhile_is_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    Path(path).write_bytes(b"0123456789")
    gaps = [Gap(2, 4), Gap(2, 8)]

    def read(log: CappedLog) -> bytes:
        found = log.read(0, 100)
        if gaps:
            write_gap(path, gaps.pop(0))
        return found

    assert consistent(path, read) == b"0189"


@pytest.mark.parametrize("text", ["", "x", "{}", "[1]", "[1, 2, 3, 4]", '["a", 2, true]'])
def test_what_is_no_gap_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.gap").write_text(text)
    assert read_gap(str(tmp_path / "log")) == NO_GAP
