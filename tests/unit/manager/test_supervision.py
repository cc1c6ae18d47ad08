"""How soon a supervisor that died is replaced."""

from __future__ import annotations

from mcp_queue.manager.supervision import LONGEST_BACKOFF, backoff


def test_the_first_is_replaced_at_once_the_next_ones_less_and_less_soon() -> None:
    assert [backoff(deaths) for deaths in range(6)] == [0, 0, 0.1, 0.2, 0.4, 0.8]
    assert backoff(9) == LONGEST_BACKOFF
    assert backoff(1_000_000) == LONGEST_BACKOFF
