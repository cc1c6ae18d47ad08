"""What an artifact may be called."""

from __future__ import annotations

import pytest

from mcp_queue.jobs.artifact_names import fault_of


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", " a", "a ", "a\nb", "x" * 129, 1, None]
)
@pytest.mark.parametrize("windows", [True, False])
def test_what_is_no_name_anywhere(name: object, windows: bool) -> None:
    assert fault_of(name, windows=windows)


@pytest.mark.parametrize("name", ["C:secret", "C:", "report.", "a...", "NUL", "com1.txt", "a:b"])
def test_what_is_no_name_on_windows(name: str) -> None:
    assert fault_of(name, windows=True)
    assert fault_of(name, windows=False) is None


@pytest.mark.parametrize("name", ["report.md", "a b", "x" * 128, "日本.txt", ".hidden"])
@pytest.mark.parametrize("windows", [True, False])
def test_what_is_a_name(name: str, windows: bool) -> None:
    assert fault_of(name, windows=windows) is None
