"""What the pools of ``ordinary`` run, in a module beside it."""

from __future__ import annotations


def square(x: int) -> int:
    return x * x
