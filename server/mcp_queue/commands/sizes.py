"""Amounts of bytes as people write them: ``2GiB``, ``500 MB``, or a plain number."""

from __future__ import annotations

_FACTORS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
ALLOWED = "bytes as a whole number, or a text such as '512MiB' or '2GB'"


def parse_size(value: object) -> int:
    """The number of bytes in a positive number or a text. Raises `ValueError` for other values."""
    if isinstance(value, str):
        text = value.strip().lower()
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
        size = float(number) * _FACTORS.get(text[len(number) :], 0) if number else 0.0
        value = round(size) if 0 < size < 2**63 else 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise ValueError(f"expected {ALLOWED}")
    return value
