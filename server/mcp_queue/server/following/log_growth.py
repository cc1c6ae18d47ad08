"""The growth of jobs' logs, for who subscribed to one.

Nobody is told when a job prints: its output goes from the worker straight into files. So they are
looked at while somebody wants to know, and not at all otherwise.
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

LOOK = 0.5  # seconds between two looks
SHARE = 9  # times as long as a look took, at least, until the next
_LOG = "/log"  # what no job id can hold

log = logging.getLogger(__name__)


def log_of(job_id: str) -> str:
    """The interest in the growth of a job's log."""
    return job_id + _LOG


class LogGrowth:
    """Looks at the logs that are of interest; ``run`` owns the looking."""

    def __init__(self, queue: QueueManager, mark: Callable[[set[str]], None]) -> None:
        """``mark`` is told of the interests whose logs have grown."""
        self._queue = queue
        self._mark = mark
        self._wanted: dict[str, int] = {}
        self._sizes: dict[str, Size] = {}
        self._any = anyio.Event()

    async def add(self, interests: set[str]) -> None:
        """Look at the logs among these interests from now on; `remove` is called in any case."""
        for interest in filter(_is_log, interests):
            self._wanted[interest] = self._wanted.get(interest, 0) + 1
            if interest not in self._sizes:
                size, ended = await self._look(interest)
                if not ended:
                    self._sizes[interest] = size
                    self._any.set()

    def remove(self, interests: set[str]) -> None:
        """Forget them, unless somebody else wants to know."""
        for interest in filter(_is_log, interests):
            left = self._wanted.pop(interest, 0) - 1
            if left > 0:
                self._wanted[interest] = left
            else:
                self._sizes.pop(interest, None)

    async def run(self) -> None:
        """Look until cancelled, for a part of the time at most, however many logs there are."""
        took = 0.0
        while True:
            await self._any.wait()
            await anyio.sleep(max(LOOK, SHARE * took))
            begun = clock.monotonic()
            for interest in list(self._sizes):
                size, ended = await self._look(interest)
                if self._sizes.get(interest, size) != size:
                    self._sizes[interest] = size
                    self._mark({interest})
                if ended:
                    self._sizes.pop(interest, None)
            took = clock.monotonic() - begun
            if not self._sizes:
                self._any = anyio.Event()

    async def _look(self, interest: str) -> tuple[Size, bool]:
        """The size of a log, and whether it grows no more."""
        try:
            record = await self._queue.record_of(interest.removesuffix(_LOG))
        except JobNotFoundError:
            return None, True
        except QueueError as error:  # told as a change, so that the client looks
            log.warning("%s %s", error.message, error.hint)
            return None, False
        return (record.stdout_size or 0, record.stderr_size or 0), record.terminal


def _is_log(interest: str) -> bool:
    return interest.endswith(_LOG)
