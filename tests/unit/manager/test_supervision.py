"""How soon a supervisor that died is replaced."""

from __future__ import annotations

from mcp_queue.manager.supervision import LONGEST_REST, rest


def test_the_first_is_replaced_at_once_the_next_ones_less_and_less_soon() -> None:
    assert [rest(deaths) for deaths in range(6)] == [0, 0, 0.1, 0.2, 0.4, 0.8]
    assert rest(9) == LONGEST_REST
    assert rest(1_000_000) == LONGEST_REST
