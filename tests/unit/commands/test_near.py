"""Near names are sought to names of bounded length alone."""

from __future__ import annotations

from mcp_queue.commands.near import LONGEST, near


def test_near_names() -> None:
    assert near("comand", ["command", "other", "commands"], 1) == ["command"]
    assert near("zzz", ["command"], 3) == []
    known = ["x" * LONGEST, "é" * (LONGEST // 2)]
    assert near("x" * LONGEST, known, 1) == known[:1]
    assert near("x" * (LONGEST + 1), known, 1) == []
    assert near("é" * (LONGEST // 2), known, 1) == known[1:]
    assert near("é" * (LONGEST // 2) + "x", known, 1) == []
    assert near("\ud800", known, 1) == []
