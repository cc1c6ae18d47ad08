"""What the demo draws on a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from mcp_queue.demo import bar_on


def test_a_description_is_no_markup() -> None:
    """A folder ``a[`` with a file ``b].py`` makes one that would end a style that never began."""
    drawn = StringIO()
    with bar_on(Console(file=drawn, force_terminal=True, width=200)) as bar:
        bar.add_task("a[/b].py [bold]x", total=1)
        bar.refresh()
    assert "a[/b].py [bold]x" in drawn.getvalue()
