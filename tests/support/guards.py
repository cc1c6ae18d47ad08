"""How long a test waits for what must come."""

from __future__ import annotations

GUARD = 120.0
"""Seconds that any wait of a test may take, the starts of processes included.

A guard that is hit is a failure, so it is set by the slowest machine: ten processes for each
processor, of which the test has two.
"""
