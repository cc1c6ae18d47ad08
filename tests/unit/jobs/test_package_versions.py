"""Versions are compared by their releases."""

from __future__ import annotations

import pytest

from mcp_queue.jobs.package_versions import is_newer


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("0.2.0", "0.1.0"),
        ("0.10", "0.9.9"),
        ("1.0.1", "1"),
        ("1.0.1rc1", "1.0.0"),
        ("2.0.dev3", "1.9"),
        ("0.1", ""),
        ("0.1", "unknown"),
    ],
)
def test_a_higher_release_is_newer(newer: str, older: str) -> None:
    assert is_newer(newer, older)
    assert not is_newer(older, newer)


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1"), ("1.0.0rc1", "1.0"), ("1.2+local", "1.2"), ("", "x")]
)
def test_equal_releases_are_not(one: str, other: str) -> None:
    assert not is_newer(one, other)
    assert not is_newer(other, one)
