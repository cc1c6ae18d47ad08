"""Logs are shortened in their middle: by holes, or by a cut where there are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mcp_queue.jobs.capped_log import CappedLog, write_gap
from mcp_queue.supervisor import log_cap

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="logs are not capped on Windows")

CAP = 1 << 16
HEAD = CAP // 4


def _text(start: int, end: int) -> bytes:
    """What a run writes between two offsets."""
    return b"".join(b"%07d\n" % n for n in range(start // 8, end // 8))


def _append(path: Path, data: bytes) -> int:
    with path.open("ab") as file:
        file.write(data)
    return path.stat().st_size


def _check(path: Path, written: int) -> CappedLog:
    log = CappedLog(str(path))
    assert log.size == written
    start = log.gap.start
    assert log.read(0, start) == _text(0, start)
    assert log.read(start, CAP) == _text(log.gap.end, written)
    return log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stdout.log"


@pytest.fixture
def holes(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("no holes on this system")
    with (tmp_path / "probe").open("wb") as file:
        if not log_cap.punch(file.fileno(), 0, 4096):
            pytest.skip("no holes in this file system")


@pytest.fixture
def no_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_cap, "punch", lambda *_: False)


@pytest.mark.usefixtures("holes")
def test_a_hole_takes_the_place_of_the_middle(path: Path) -> None:
    written = 0
    for size in (10 * CAP, CAP // 2, 8, 20 * CAP):
        written = _append(path, _text(written, written + size))
        log_cap.shorten(str(path), written, CAP)
        log = _check(path, written)
        assert path.stat().st_size == written
        assert path.stat().st_blocks * 512 <= CAP + 2 * log_cap.BLOCK
        assert log.gap.start == HEAD


@pytest.mark.usefixtures("no_holes")
def test_without_holes_the_log_is_cut_to_its_head(path: Path) -> None:
    written = 0
    for size in (10 * CAP, CAP, 20 * CAP):
        in_file = _append(path, _text(written, written + size))
        written += size
        log_cap.shorten(str(path), in_file, CAP)
        log = _check(path, written)
        assert (log.gap.start, log.gap.end, log.gap.cut) == (HEAD, written, True)
        assert path.stat().st_size == HEAD
    _append(path, _text(written, written + 800))
    assert _check(path, written + 800).length == HEAD + 800


@pytest.mark.usefixtures("holes")
def test_a_log_with_holes_keeps_its_head_under_another_cap(path: Path) -> None:
    size = _append(path, _text(0, 10 * CAP))
    log_cap.shorten(str(path), size, CAP)
    log_cap.shorten(str(path), size, 4 * CAP)
    assert _check(path, size).length < 2 * CAP
    log_cap.shorten(str(path), size, CAP // 2 + HEAD)
    assert _check(path, size).gap.start == HEAD


@pytest.mark.usefixtures("holes")
def test_a_full_disk_gets_its_hole_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = _append(path, _text(0, 10 * CAP))
    calls: list[int] = []

    def full_at_first(*args: object) -> None:
        calls.append(path.stat().st_blocks * 512)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        write_gap(*args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(log_cap, "write_gap", full_at_first)
    log_cap.shorten(str(path), size, CAP)
    assert calls[1] < 2 * CAP < calls[0]
    _check(path, size)
