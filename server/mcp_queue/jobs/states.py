"""The states of a job.

``pending``    added; waits for a start, or started and waiting for a slot
``running``    a run is bound to it
``completed``  its command returned
``failed``     its command raised, or its run ended without an outcome; ``error`` says which
``stopped``    ended after a stop was asked; or a job class said so of itself
``deleted``    removed by a client or past a limit; only a tombstone with the reason stays

The guards of the UPDATEs in the modules ``*_rows`` and in `tombstones` enforce the transitions.
docs/jobs.md draws them.
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
