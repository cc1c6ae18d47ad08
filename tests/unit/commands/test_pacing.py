"""Progress by the clock, until the command speaks."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from mcp_queue.commands.job import Sink
from mcp_queue.commands.pacing import FINAL_PERCENT, Pace, pace_in
from support.guards import GUARD


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"duration": 60, "steps": 5}, (60.0, 5)),
        ({"duration": 0.5}, (0.5, 10)),
        ({"duration": 60, "steps": 2.9}, (60.0, 2)),
        ({"duration": 60, "steps": 0.5}, (60.0, 1)),
        ({"duration": 60, "steps": 10**9}, (60.0, 10_000)),
        ({}, None),
        ({"steps": 5}, None),
        ({"duration": 0, "steps": 5}, None),
        ({"duration": -1, "steps": 5}, None),
        ({"duration": 60, "steps": 0}, None),
        ({"duration": "60", "steps": 5}, None),
        ({"duration": True, "steps": 5}, None),
        ({"duration": math.inf, "steps": 5}, None),
        ({"duration": math.nan, "steps": 5}, None),
        ({"duration": 60, "steps": None}, None),
    ],
)
def test_only_usable_numbers_pace(params: dict[str, Any], expected: object) -> None:
    assert pace_in(params) == expected


class Recorder(Sink):
    """Tells when so many reports have come; those before ``counts_from`` do not count."""

    def __init__(self, until: int, counts_from: str | None = None) -> None:
        self.events: list[tuple[float | None, str | None]] = []
        self.enough = threading.Event()
        self._until = until
        self._counts_from = counts_from

    def progress(self, percent: float | None, description: str | None) -> None:
        if description and description == self._counts_from:
            self._counts_from = None
            self.events.clear()
        self.events.append((percent, description))
        if self._counts_from is None and len(self.events) == self._until:
            self.enough.set()

    def log(self, line: str) -> None: ...

    def stopping(self) -> bool:
        return False


def ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "pace":
            thread.join(GUARD)
            assert not thread.is_alive()


def test_the_last_step_leaves_room_for_what_outlasts_the_estimate() -> None:
    sink = Recorder(until=99)
    Pace(sink, 0.05, 4)
    ended()
    percents = [percent or 0.0 for percent, _ in sink.events]
    assert percents == sorted(percents)  # a slow machine may skip a step, never repeat one
    assert sink.events[-1] == (FINAL_PERCENT, "step 4 of 4")


def test_the_first_report_of_the_command_ends_it() -> None:
    sink = Recorder(until=1)
    pace = Pace(sink, 1.0, 1000)
    assert sink.enough.wait(GUARD)
    pace.progress(42.0, None)
    ended()
    assert sink.events[-1] == (42.0, None)


def test_a_description_of_the_command_stays() -> None:
    sink = Recorder(until=3, counts_from="my own word")
    pace = Pace(sink, 60.0, 10_000)
    pace.progress(None, "my own word")
    assert sink.enough.wait(GUARD)
    pace.stop()
    ended()
    first, *others = sink.events
    assert first == (None, "my own word")
    assert {text for _, text in others} == {None}


def test_a_stopped_one_says_nothing_more() -> None:
    sink = Recorder(until=1)
    Pace(sink, 600.0, 1).stop()
    ended()
    assert sink.events == []
