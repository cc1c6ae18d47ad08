"""Progress reports of a run: as it works, or spread over a given time."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from mcp_queue_tools.errors import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_queue import Job

DEFAULT_STEPS = 10
MOST_STEPS = 10_000
_INTERVAL = 0.05  # seconds between two checks of job.stopping while waiting


class Pace:
    """Reports the progress of a job, immediately unless there is a ``duration`` (in seconds).

    With a duration, the run lasts at least so long. It reports in ``steps`` equal steps, each when
    both the work and the time have reached it. A stop ends the waiting at once.
    """

    def __init__(self, job: Job, duration: float = 0.0, steps: int = DEFAULT_STEPS) -> None:
        self._job = job
        self._duration = duration
        self._steps = steps
        self._step = 0
        self._started = time.monotonic()

    def report(self, done: float, description: str) -> None:
        """Report the part of the work that is ``done`` (0 to 1), and the next work."""
        if not self._duration:
            self._job.set_progress(100 * done, description)
            return
        while self._step < math.floor(done * self._steps + 1e-9) and self._wait():
            self._step += 1
            self._job.set_progress(100 * self._step / self._steps, description)

    def _wait(self) -> bool:
        """Wait for the time of the next step; false if a stop was requested meanwhile."""
        due = self._started + self._duration * (self._step + 1) / self._steps
        while not self._job.stopping:
            remaining = due - time.monotonic()
            if remaining <= 0:
                return True
            time.sleep(min(_INTERVAL, remaining))
        return False


def read_pace(job: Job, parameters: Mapping[str, object]) -> Pace:
    """The pace with the given ``duration`` and ``steps``; other parameters are logged only."""
    unknown = sorted(set(parameters) - {"duration", "steps"})
    if unknown:
        job.log(f"parameters without a meaning here: {', '.join(unknown)}")
    duration = _number(parameters, "duration", 0.0)
    steps = _number(parameters, "steps", DEFAULT_STEPS)
    if not 0 <= duration < math.inf:
        raise WrongValueError(name="duration", value=duration, reason="it is seconds, 0 or more")
    if not 1 <= steps <= MOST_STEPS or steps != int(steps):
        reason = f"it is a whole number from 1 to {MOST_STEPS}"
        raise WrongValueError(name="steps", value=steps, reason=reason)
    return Pace(job, duration, int(steps))


def _number(parameters: Mapping[str, object], name: str, default: float) -> float:
    value: Any = parameters.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongValueError(name=name, value=value, reason="it must be a number")
    return value
