"""Memory limits: the whole tree counts, what is only reserved does not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import support.lost_commands  # noqa: F401 (registers the commands)
from support.queues import done, opened, run, submit

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from support.processes import Lifelines


pytestmark = pytest.mark.supervisor_killed


def _error(record: JobRecord) -> tuple[str, str, str]:
    assert record.error is not None
    return record.status, record.error.code, str(record.error)


@pytest.mark.parametrize("in_child", [False, True])
async def test_a_job_over_its_limit_is_ended_with_all_it_started(
    queue: QueueManager, lines: Lifelines, in_child: bool
) -> None:
    job = await submit(queue, "hoards", megabytes=300, port=lines.port, in_child=in_child)
    await lines.arrive()
    record = await done(queue, job)
    status, code, message = _error(record)
    assert (status, code, record.attempt) == ("failed", "out_of_memory", 1)
    assert re.fullmatch(r"used [23][\d.]+ MiB of memory, over its limit of 200 MiB", message)
    assert (record.signal, record.exit_code) == (None, None)
    await lines.end()


async def test_a_job_under_its_limit_runs_on(queue: QueueManager, lines: Lifelines) -> None:
    small = await submit(queue, "hoards", megabytes=20, port=lines.port)
    reserving = await submit(queue, "reserves", port=lines.port)
    large = await submit(queue, "hoards", megabytes=300, port=lines.port)
    assert _error(await done(queue, large))[1] == "out_of_memory"
    await lines.arrive(3)  # the two that live were looked at as well
    lines.let_go()
    assert (await done(queue, small)).result == "kept 20"
    assert (await done(queue, reserving)).result == f"reserved {4 << 30}"


async def test_the_default_limit_holds_for_commands_without_one(
    settings: Settings, lines: Lifelines
) -> None:
    async with opened(replace(settings, default_memory_limit=200 << 20)) as queue:
        record = await run(queue, "hoards_freely", megabytes=300, port=lines.port)
    _, code, message = _error(record)
    assert code == "out_of_memory"
    assert message.endswith("over its limit of 200 MiB")
