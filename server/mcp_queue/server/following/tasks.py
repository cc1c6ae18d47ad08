"""Which jobs clients follow as tasks."""

from __future__ import annotations

MOST = 10_000  # jobs that are remembered


class FollowedTasks:
    """The jobs that clients of this process follow as tasks, which bring their questions along.

    A job leaves when its end is told, or when `MOST` others were added or asked for after it: a
    client that follows a task asks for it every few seconds.
    """

    def __init__(self) -> None:
        self._job_ids: dict[str, None] = {}  # those added last at the end

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._job_ids

    def __len__(self) -> int:
        return len(self._job_ids)

    def add(self, job_id: str) -> None:
        """A client follows this job, which has not ended."""
        self._job_ids.pop(job_id, None)
        self._job_ids[job_id] = None
        if len(self._job_ids) > MOST:
            del self._job_ids[next(iter(self._job_ids))]

    def discard(self, job_id: str) -> None:
        """The job asks nothing any more: it has ended, or is unknown."""
        self._job_ids.pop(job_id, None)
