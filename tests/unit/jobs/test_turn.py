"""Waiting for the write of another process: often enough, and not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_queue import clock
from mcp_queue.errors import RegistryBusyError
from mcp_queue.jobs import turn
from mcp_queue.jobs.registry import Registry
from support.rows import add


def test_it_looks_often_however_long_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(turn.time, "sleep", slept.append)
    waiting = turn.Turn(60)
    assert all(waiting.wait(looks) for looks in range(10_000))
    assert max(slept) <= turn.LONG
    assert max(slept[:5]) <= 1.5 * turn.SHORT


def test_it_gives_up_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(turn.time, "sleep", lambda _: None)
    waiting = turn.Turn(2)
    assert [waiting.wait(0), waiting.wait(1)] == [True, True]
    now[0] += 2.1
    assert waiting.wait(2) is False
    assert waiting.wait(0) is True


def test_a_registry_waits_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a writer that ends within its patience, and not for one that does not."""
    path = str(tmp_path / "registry.db")
    first, second = Registry(path), Registry(path, busy_timeout=0.05)
    first.execute("BEGIN IMMEDIATE")
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 30:
            first.execute("COMMIT")

    monkeypatch.setattr(turn.time, "sleep", sleep)
    second.wait_at_most(60)
    add(second, "job")
    assert looks == 30
    monkeypatch.undo()
    first.execute("BEGIN IMMEDIATE")
    second.wait_at_most(0.05)
    with pytest.raises(RegistryBusyError):
        add(second, "other")
    first.execute("ROLLBACK")
    add(second, "other")
    first.close()
    second.close()
