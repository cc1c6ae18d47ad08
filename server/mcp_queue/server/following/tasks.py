"""Which jobs clients follow as tasks."""

from __future__ import annotations

MAX_JOBS = 10_000


class FollowedTasks:
    """The jobs that clients of this process follow as tasks. A task shows the job's questions.

    A job leaves when its end is delivered, or when `MAX_JOBS` others were added or requested after
    it. A client that follows a task requests it every few seconds.
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
        if len(self._job_ids) > MAX_JOBS:
            del self._job_ids[next(iter(self._job_ids))]

    def discard(self, job_id: str) -> None:
        """The job asks nothing any more: it has ended, or is unknown."""
        self._job_ids.pop(job_id, None)
