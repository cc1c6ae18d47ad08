"""What a command can do with its Job."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.commands.job import Job, Sink
from mcp_queue.printable import DESCRIPTION_LIMIT


class Recorder(Sink):
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[tuple[float | None, str | None]] = []
        self.lines: list[str] = []
        self.stop = False

    def progress(self, percent: float | None, description: str | None) -> None:
        self.events.append((percent, description))

    def log(self, line: str) -> None:
        self.lines.append(line)

    def stopping(self) -> bool:
        return self.stop


def new_job() -> tuple[Job, Recorder]:
    sink = Recorder()
    return Job("a-job", 2, sink), sink


def test_a_job_knows_its_id_and_attempt() -> None:
    job, _ = new_job()
    assert (job.job_id, job.attempt) == ("a-job", 2)


def test_stopping_follows_the_sink() -> None:
    job, sink = new_job()
    assert not job.stopping
    sink.stop = True
    assert job.stopping


@pytest.mark.parametrize(
    ("given_percent", "expected"),
    [(45, 45.0), (-3, 0.0), (250, 100.0), (math.inf, 100.0), (Decimal("12.5"), 12.5)],
)
def test_progress_is_clamped(given_percent: Any, expected: float) -> None:
    job, sink = new_job()
    job.set_progress(given_percent, "working")
    assert sink.events == [(expected, "working")]


@pytest.mark.parametrize("bad", ["45", b"45", None, math.nan, [1], object(), 1j])
def test_what_is_no_number_is_ignored_with_one_line(bad: Any) -> None:
    job, sink = new_job()
    job.set_progress(bad)
    job.set_progress(bad)
    assert sink.events == []
    assert len(sink.lines) == 1
    assert "progress must be a number" in sink.lines[0]


def test_the_description_counts_even_if_the_percentage_does_not() -> None:
    job, sink = new_job()
    job.set_progress(cast("Any", "half"), "still here")
    assert sink.events == [(None, "still here")]


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.binary(), st.booleans()))
def test_no_percentage_ever_raises_or_leaves_the_range(percent: Any) -> None:
    job, sink = new_job()
    job.set_progress(percent)
    assert all(value is not None and 0 <= value <= 100 for value, _ in sink.events)
    assert len(sink.events) + len(sink.lines) == 1


def test_a_description_is_cut() -> None:
    job, sink = new_job()
    job.set_description("x" * 5000)
    assert sink.events == [(None, "x" * DESCRIPTION_LIMIT)]


def test_log_writes_a_line_of_anything() -> None:
    job, sink = new_job()
    job.log({"epoch": 1})
    assert sink.lines == ["{'epoch': 1}"]


def test_track_reports_what_is_done_after_each_item() -> None:
    job, sink = new_job()
    seen = [(item, sink.events[-1][0]) for item in job.track(range(4), description="training")]
    assert seen == [(0, 0.0), (1, 25.0), (2, 50.0), (3, 75.0)]
    assert sink.events[-1] == (100.0, "training")


def test_track_takes_a_total_for_what_has_no_length() -> None:
    job, sink = new_job()
    assert list(job.track(iter("ab"), total=4)) == ["a", "b"]
    assert [percent for percent, _ in sink.events] == [0.0, 25.0, 50.0]


def test_track_without_a_total_counts_in_the_description() -> None:
    job, sink = new_job()
    assert list(job.track(iter("ab"), description="reading")) == ["a", "b"]
    assert sink.events == [(None, "reading: 0"), (None, "reading: 1"), (None, "reading: 2")]


def test_track_of_nothing_is_done_at_once() -> None:
    job, sink = new_job()
    assert list(job.track([])) == []
    assert {percent for percent, _ in sink.events} == {100.0}


def test_track_past_its_total_stays_at_the_end() -> None:
    job, sink = new_job()
    assert len(list(job.track(range(5), total=2))) == 5
    assert sink.events[-1][0] == 100.0


def test_leaving_a_tracked_loop_does_not_count_the_item() -> None:
    job, sink = new_job()
    for _ in job.track(range(2)):
        break
    assert sink.events == [(0.0, None)]


def test_track_is_lazy() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    job, _ = new_job()
    assert next(iter(job.track(endless()))) == 1
