"""Growth of the logs of jobs, for clients that subscribed to a log.

The output of a job goes from the worker straight into files, so no process reports it. The sizes of
the files are polled, but only while there is a subscription.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from mcp_queue import clock
from mcp_queue.errors import JobNotFoundError, QueueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.manager import QueueManager

    Size = tuple[int, int] | None

INTERVAL = 0.5  # seconds between two polls
SHARE = 9  # the pause after a poll is at least so many times as long as the poll
_LOG = "/log"  # no job id contains a slash

log = logging.getLogger(__name__)


def log_of(job_id: str) -> str:
    """The interest in the growth of a job's log."""
    return job_id + _LOG


class LogGrowth:
    """Polls the sizes of the logs that are of interest, in ``run``."""

    def __init__(self, queue: QueueManager, notify: Callable[[set[str]], None]) -> None:
        """``notify`` gets the interests whose logs have grown."""
        self._queue = queue
        self._notify = notify
        self._subscriptions: dict[str, int] = {}
        self._sizes: dict[str, Size] = {}
        self._has_logs = anyio.Event()

    async def add(self, interests: set[str]) -> None:
        """Poll the logs among these interests from now on.

        The caller calls `remove` afterwards, also if this raises.
        """
        for interest in filter(_is_log, interests):
            self._subscriptions[interest] = self._subscriptions.get(interest, 0) + 1
            if interest not in self._sizes:
                size, ended = await self._measure(interest)
                if not ended:
                    self._sizes[interest] = size
                    self._has_logs.set()

    def remove(self, interests: set[str]) -> None:
        """Stop polling these logs, except those with another subscription."""
        for interest in filter(_is_log, interests):
            remaining = self._subscriptions.pop(interest, 0) - 1
            if remaining > 0:
                self._subscriptions[interest] = remaining
            else:
                self._sizes.pop(interest, None)

    async def run(self) -> None:
        """Poll until cancelled, at most a tenth of the time, however many logs there are."""
        duration = 0.0
        while True:
            await self._has_logs.wait()
            await anyio.sleep(max(INTERVAL, SHARE * duration))
            start = clock.monotonic()
            for interest in list(self._sizes):
                size, ended = await self._measure(interest)
                if self._sizes.get(interest, size) != size:
                    self._sizes[interest] = size
                    self._notify({interest})
                if ended:
                    self._sizes.pop(interest, None)
            duration = clock.monotonic() - start
            if not self._sizes:
                self._has_logs = anyio.Event()

    async def _measure(self, interest: str) -> tuple[Size, bool]:
        """The size of a log, and whether the job has ended, so that it grows no more."""
        try:
            record = await self._queue.record_of(interest.removesuffix(_LOG))
        except JobNotFoundError:
            return None, True
        except QueueError as error:  # counts as a change, so that the client reads and sees it
            log.warning("%s %s", error.message, error.hint)
            return None, False
        return (record.stdout_size or 0, record.stderr_size or 0), record.terminal


def _is_log(interest: str) -> bool:
    return interest.endswith(_LOG)
