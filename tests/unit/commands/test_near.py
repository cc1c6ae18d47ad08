"""Near names are sought to names of bounded length alone."""

from __future__ import annotations

from mcp_queue.commands.near import NAME_LIMIT, near


def test_near_names() -> None:
    assert near("comand", ["command", "other", "commands"], 1) == ["command"]
    assert near("zzz", ["command"], 3) == []
    known = ["x" * NAME_LIMIT, "é" * (NAME_LIMIT // 2)]
    assert near("x" * NAME_LIMIT, known, 1) == known[:1]
    assert near("x" * (NAME_LIMIT + 1), known, 1) == []
    assert near("é" * (NAME_LIMIT // 2), known, 1) == known[1:]
    assert near("é" * (NAME_LIMIT // 2) + "x", known, 1) == []
    assert near("\ud800", known, 1) == []
