"""What a request leaves for the one that follows it is read only if nothing was changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from mcp_queue import clock
from mcp_queue.server.asking.request_state import LIFETIME, open_state, seal

STATE = {"answers": {"answer": ["accept", {"n": 1}]}}


def context(
    state: str | None = None, name: str = "tool", method: str = "tools/call", **arguments: Any
) -> Any:
    params = {"name": name, "arguments": arguments}
    return SimpleNamespace(
        method=method, params=params if state is None else params | {"requestState": state}
    )


def test_it_comes_back_as_it_was() -> None:
    assert open_state(context(seal(context(a=1, b=2), STATE), b=2, a=1)) == STATE
    assert open_state(context()) == {}
    assert open_state(SimpleNamespace(params=None)) == {}  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "other",
    [{"name": "other"}, {"a": 1, "method": "prompts/get"}, {"a": 2}, {"a": 1, "b": 1}, {}],
    ids=["tool", "method", "value", "more", "less"],
)
def test_it_belongs_to_one_call(other: dict[str, Any]) -> None:
    sealed = seal(context(a=1), STATE)
    with pytest.raises(MCPError, match="requestState"):
        open_state(context(sealed, **other))


def test_each_changed_character_is_noticed() -> None:
    sealed = seal(context(), STATE)
    for place, character in enumerate(sealed):
        other = "A" if character != "A" else "B"
        forged = sealed[:place] + other + sealed[place + 1 :]
        if forged.rstrip("=")[:-1] == sealed.rstrip("=")[:-1]:
            continue  # the last character of base64 has bits that say nothing
        with pytest.raises(MCPError):
            open_state(context(forged))


@pytest.mark.parametrize("forged", ["", ".", "a", "a.b.c", "ä.ö", "e30=.e30=", "💥"])
def test_what_is_none_of_ours_is_refused(forged: str) -> None:
    with pytest.raises(MCPError) as caught:
        open_state(context(forged))
    assert caught.value.error.code == -32602


def test_it_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(context(), STATE)
    now = clock.wall()
    monkeypatch.setattr(clock, "wall", lambda: now + LIFETIME + 10)
    with pytest.raises(MCPError, match="too old"):
        open_state(context(sealed))
