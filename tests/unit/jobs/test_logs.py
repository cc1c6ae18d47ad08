"""Logs: a tail and a cursor walk against a plain model, whatever bytes a run writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.jobs import logs
from mcp_queue.jobs.run_folder import RunFolder

RUN = "0123456789abcdef"
BOTH = logs.STREAMS

blobs = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b"\r\n", b"\xc3\xa9", b"line\n"])),
    max_size=30,
).map(b"".join)


def _lines(data: bytes) -> list[str]:
    """The model: what an editor would show of the whole file."""
    lines = data.decode("utf-8", "replace").split("\n")
    return [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def _folder(path: str, out: bytes = b"", err: bytes = b"") -> RunFolder:
    folder = RunFolder(path)
    Path(folder.stdout).write_bytes(out)
    Path(folder.stderr).write_bytes(err)
    return folder


@given(blobs, blobs, st.integers(0, 40))
def test_a_tail_is_the_last_lines_of_each_stream(out: bytes, err: bytes, count: int) -> None:
    with tempfile.TemporaryDirectory() as path:
        page = logs.tail(_folder(path, out, err), RUN, BOTH, count)
    assert page.stdout == (_lines(out)[-count:] if count else [])
    assert page.stderr == (_lines(err)[-count:] if count else [])
    assert not page.more


@given(blobs, st.integers(1, 40), st.integers(1, 9))
def test_blocks_cut_nothing_from_a_tail(out: bytes, count: int, block: int) -> None:
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "BLOCK", block)
        page = logs.tail(_folder(path, out), RUN, BOTH, count)
    assert page.stdout == _lines(out)[-count:]


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_a_bounded_tail_shows_whole_lines(before: int, page_size: int) -> None:
    data = b"".join(b"%d line\n" % n for n in range(before))
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "PAGE", max(page_size, 20))
        patch.setattr(logs, "BLOCK", 64)
        shown = logs.tail(_folder(path, data), RUN, BOTH, 10_000).stdout
    assert shown == _lines(data)[len(_lines(data)) - len(shown) :]
    assert shown or not before


def test_a_tail_of_one_endless_line_shows_its_end(tmp_path: Path) -> None:
    data = b"a" * (2 * logs.PAGE) + b"the end"
    [line] = logs.tail(_folder(str(tmp_path), data), RUN, BOTH, 5).stdout
    assert line.startswith("aaaa")
    assert "more characters" in line


def _walk(folder: RunFolder, cursor: str, *, ended: bool) -> tuple[list[str], list[str], str]:
    out: list[str] = []
    err: list[str] = []
    while True:
        page = logs.since(folder, RUN, BOTH, cursor, ended=ended)
        out += page.stdout
        err += page.stderr
        if page.cursor == cursor:
            assert not page.stdout
            assert not page.stderr
            return out, err, cursor
        cursor = page.cursor


short_lines = st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b), max_size=20)


@given(short_lines, st.booleans(), st.lists(st.integers(0, 200), max_size=10), short_lines)
def test_a_walk_while_a_run_writes_yields_every_line_once(
    lines: list[bytes], finished: bool, cuts: list[int], errors: list[bytes]
) -> None:
    data = b"\n".join(lines) + (b"\n" if finished else b"")
    error_data = b"\n".join(errors)
    seen: list[str] = []
    seen_errors: list[str] = []
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "PAGE", 16)
        folder = _folder(path, b"", error_data)
        cursor = logs.tail(None, RUN, BOTH, 0).cursor
        written = 0
        for cut in [*sorted(cuts), len(data)]:
            with Path(folder.stdout).open("ab") as file:
                file.write(data[written:cut])
            written = max(written, cut)
            out, err, cursor = _walk(folder, cursor, ended=False)
            assert all(line in _lines(data) for line in out)
            seen += out
            seen_errors += err
        out, err, cursor = _walk(folder, cursor, ended=True)
    assert seen + out == _lines(data)
    assert seen_errors + err == _lines(error_data)


@given(st.text("ab\n", max_size=300))
def test_lines_longer_than_a_page_come_in_pieces(text: str) -> None:
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "PAGE", 8)
        folder = _folder(path, text.encode())
        out, _, _ = _walk(folder, logs.tail(None, RUN, BOTH, 0).cursor, ended=True)
    assert "".join(out) == text.replace("\n", "")


def test_a_tail_goes_on_where_it_ended(tmp_path: Path) -> None:
    folder = _folder(str(tmp_path), b"one\ntwo\n", b"err\n")
    page = logs.tail(folder, RUN, BOTH, 1)
    assert (page.stdout, page.stderr) == (["two"], ["err"])
    with Path(folder.stdout).open("ab") as file:
        file.write(b"three\nfo")
    page = logs.since(folder, RUN, BOTH, page.cursor, ended=False)
    assert (page.stdout, page.stderr) == (["three"], [])
    assert logs.since(folder, RUN, BOTH, page.cursor, ended=True).stdout == ["fo"]


def test_a_stream_that_is_not_asked_for_stays_to_be_read(tmp_path: Path) -> None:
    folder = _folder(str(tmp_path), b"out\n", b"err\n")
    start = logs.tail(None, RUN, BOTH, 0).cursor
    page = logs.since(folder, RUN, ("stderr",), start, ended=True)
    assert (page.stdout, page.stderr) == ([], ["err"])
    page = logs.since(folder, RUN, BOTH, page.cursor, ended=True)
    assert (page.stdout, page.stderr) == (["out"], [])


def test_a_cursor_of_an_earlier_run_starts_at_the_beginning(tmp_path: Path) -> None:
    folder = _folder(str(tmp_path), b"out\n")
    of_other = logs.tail(folder, "another run", BOTH, 5).cursor
    assert logs.since(folder, RUN, BOTH, of_other, ended=True).stdout == ["out"]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "x.1", "x.1.-1", "x.1.2.3", "x.a.b", f"x.{'9' * 30}.0", "x.\u00b2.1", "x.1.2\n"],
)
def test_what_is_no_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(logs.BadCursorError):
        logs.since(_folder(str(tmp_path)), RUN, BOTH, cursor, ended=True)


def test_a_cursor_past_the_end_reads_from_the_beginning(tmp_path: Path) -> None:
    folder = _folder(str(tmp_path), b"out\n")
    page = logs.since(folder, RUN, BOTH, f"{RUN[:8]}.999.0", ended=True)
    assert (page.stdout, page.more) == ([logs.EMPTIED, "out"], False)
    assert page.stderr == []
    page = logs.since(folder, RUN, BOTH, page.cursor, ended=True)
    assert (page.stdout, page.more) == ([], False)


@pytest.mark.parametrize("there", [True, False])
def test_a_job_without_a_run_or_files_has_no_output(tmp_path: Path, there: bool) -> None:
    folder = RunFolder(str(tmp_path)) if there else None
    assert logs.sizes(folder) == (0, 0)
    assert logs.tail(folder, "", BOTH, 10).stdout == []
    assert logs.count_lines(folder, "stdout") == 0
    page = logs.since(folder, "", BOTH, logs.tail(folder, "", BOTH, 10).cursor, ended=False)
    assert (page.stdout, page.more) == ([], False)


@given(blobs)
def test_lines_are_counted_as_they_are_shown(out: bytes) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = _folder(path, out)
        assert logs.count_lines(folder, "stdout") == len(_lines(out))
        assert logs.sizes(folder) == (len(out), 0)
