"""Events: whole lines only, each once, and nothing unknown upsets a reader."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.jobs import events

fields = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key not in ("v", "e")),
    st.one_of(st.integers(), st.text(), st.booleans(), st.none()),
    max_size=4,
)


@given(st.lists(fields, max_size=8))
def test_what_is_appended_is_read(said: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "events.jsonl"))
        for each in said:
            events.append(path, events.PROGRESS, each)
        found, offset = events.read(path, 0)
        assert found == [{"v": events.VERSION, "e": events.PROGRESS, **each} for each in said]
        assert events.read(path, offset) == ([], offset)


@given(st.lists(fields, max_size=8), st.lists(st.integers(0, 2000), max_size=12))
def test_any_cut_of_the_file_yields_each_event_once(
    said: list[dict[str, object]], cuts: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole, growing = str(Path(folder, "whole")), Path(folder, "growing")
        for each in said:
            events.append(whole, events.PROGRESS, each)
        data = Path(whole).read_bytes() if said else b""
        found: list[dict[str, object]] = []
        offset = 0
        for cut in [*sorted(cuts), len(data)]:
            growing.write_bytes(data[:cut])
            more, offset = events.read(str(growing), offset)
            found += more
        assert found == events.read(whole, 0)[0]


def test_a_missing_file_reads_as_empty(tmp_path: Path) -> None:
    assert events.read(str(tmp_path / "none"), 7) == ([], 7)


@pytest.mark.parametrize(
    "line",
    [b"", b"not json", b"[1]", b"7", b'{"e": "progress"}', b'{"v": 2, "e": "x"}', b"\xff\xfe"],
)
def test_lines_that_are_no_events_are_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line + b"\n")
    events.append(str(path), events.STARTED, {"unknown": [1]})
    found, offset = events.read(str(path), 0)
    assert [event["e"] for event in found] == [events.STARTED]
    assert offset == path.stat().st_size


def test_text_that_is_no_unicode_stays_one_line(tmp_path: Path) -> None:
    path = str(tmp_path / "events.jsonl")
    events.append(path, events.PROGRESS, {"description": "a\ud800\n\u2028\r"})
    [event] = events.read(path, 0)[0]
    assert event["description"] == "a\ud800\n\u2028\r"
    assert Path(path).read_bytes().count(b"\n") == 1


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = str(tmp_path / "events.jsonl")
    events.append(path, events.STARTED, {})
    size = Path(path).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            events.append(path, events.PROGRESS, {"progress": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    events.append(path, events.OUTCOME, {"status": "completed"})
    assert [e["e"] for e in events.read(path, 0)[0]] == [events.STARTED, events.OUTCOME]


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        events.append(str(tmp_path / "events.jsonl"), events.STARTED, {})
    finally:
        os.umask(old)
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o600
