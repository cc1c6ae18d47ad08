"""Which of two versions of this package is the newer one."""

from __future__ import annotations

import re


def is_newer(version: str, than: str) -> bool:
    """Whether the release in ``version`` is above that in ``than``; pre-releases count as theirs.

    What begins with no number is older than everything.
    """
    return _release(version) > _release(than)


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version, re.ASCII)
    numbers = [int(number) for number in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
