"""Where there are no Unix sockets for us."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mcp_queue.errors import ListenError
from mcp_queue.server.transport.listening import listen, parse_address


def test_windows_says_what_to_give_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ListenError) as raised:
        listen(tmp_path / "socket")
    assert "Windows" in raised.value.text
    assert "Give HOST:PORT" in raised.value.text
    assert not list(tmp_path.iterdir())


def test_a_path_starts_at_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address("unix:a/b:8000") == tmp_path / "a" / "b:8000"
