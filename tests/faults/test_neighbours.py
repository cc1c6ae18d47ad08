"""A client that floods its own server keeps nobody else on the registry from an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import hostile

if TYPE_CHECKING:
    from collections.abc import Callable

    RecordProperty = Callable[[str, object], None]


CALLS = 8  # of each kind
FEW = ("submits", "subscriptions")  # the one that writes most, and the one that looks most


def test_row_53_a_flood_beside(thorough: bool, record_property: RecordProperty) -> None:
    """All calls are answered with what was asked; `tests.benchmarks.hostile` bounds the time."""
    for attack in hostile.ATTACKS if thorough else FEW:
        alone, beside = hostile.measured(attack, rounds=1, calls=CALLS)
        for turns in (alone, beside):
            assert {len(times) for times in turns[0].times.values()} == {CALLS}
        for name, turns in (("alone", alone), ("beside", beside)):
            record_property(f"{attack}: p95 {name}, ms", round(hostile.p95(turns), 1))
