"""Comparison of versions of this package."""

from __future__ import annotations

import re


def is_newer(version: str, than: str) -> bool:
    """Whether the release of ``version`` is newer than that of ``than``.

    A pre-release counts as its release. A text that begins with no number is older than all others.
    """
    return _release(version) > _release(than)


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version, re.ASCII)
    numbers = [int(number) for number in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
