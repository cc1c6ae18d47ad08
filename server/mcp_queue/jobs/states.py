"""The states of a job, and the allowed transitions between them.

``pending``    added; waits for a start, or started and waiting for a slot
``running``    a run is bound to it
``completed``  its command returned
``failed``     its command raised, or its run ended without an outcome; ``error`` says which
``stopped``    ended after a stop was asked; or a job class said so of itself
``deleted``    removed by a client or past a limit; only a tombstone with the reason stays
"""

from __future__ import annotations

PENDING = "pending"
RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"
STOPPED = "stopped"
DELETED = "deleted"

ALL = (PENDING, RUNNING, COMPLETED, FAILED, STOPPED, DELETED)
ENDED = frozenset({COMPLETED, FAILED, STOPPED})
TERMINAL = ENDED | {DELETED}

FOLLOWS = {
    PENDING: frozenset({RUNNING, STOPPED, FAILED, DELETED}),
    # Back to pending: the worker died before any user code ran, or another attempt is allowed.
    RUNNING: frozenset({PENDING, COMPLETED, FAILED, STOPPED, DELETED}),
    COMPLETED: frozenset({DELETED}),
    FAILED: frozenset({DELETED}),
    STOPPED: frozenset({DELETED}),
    DELETED: frozenset[str](),
}


def may_follow(status: str, following: str) -> bool:
    """Whether a job that is ``status`` may become ``following``."""
    return following in FOLLOWS[status]
