"""However much a job writes, its logs stay bounded, and what is shown of them stays true."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

import support.lost_commands  # noqa: F401 (registers the commands)
from mcp_queue.jobs import job_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from support.processes import GUARD
from support.queues import run, submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from support.processes import Lifelines

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="logs are not capped on Windows"),
    pytest.mark.supervisor_killed,
]

CAP = 1_000_000
HEAD = CAP // 4 // 4096 * 4096
SLACK = 16_384  # bytes: the log's last block, and what the file system needs
MARK = re.compile(r"… (\d+) bytes left out …")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, log_cap_bytes=CAP)


def _log(queue: QueueManager, record: JobRecord) -> Path:
    assert record.run_id is not None
    return Path(RegistryFolder(queue.registry_path).run(record.run_id).stdout)


def _on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


async def _once(is_so: Callable[[], bool]) -> None:
    """Wait until ``is_so``; no process tells."""
    with anyio.fail_after(GUARD):
        while not is_so():  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def _gone(queue: QueueManager) -> None:
    """Wait until every run is gone."""
    registry = Registry(queue.registry_path)
    try:
        await _once(lambda: not job_rows.unfinished(registry))
    finally:
        registry.close()


async def _walk(queue: QueueManager, job_id: str) -> list[str]:
    """All that is shown of a log, page by page."""
    shown: list[str] = []
    cursor = "0.0.0"
    while True:
        page = await queue.read_logs(job_id, since=cursor)
        shown += page.stdout
        if page.cursor == cursor:
            return shown
        cursor = page.cursor


def _line(number: int) -> str:
    return f"{number:08}\0\0" + "y" * 89


async def test_head_and_tail_are_kept_and_a_mark_between(
    queue: QueueManager, lines: Lifelines
) -> None:
    job = await submit(queue, "floods", megabytes=30, port=lines.port)
    await lines.arrive()
    record = await queue.get_job_status(job.job_id)
    await _once(lambda: _on_disk(_log(queue, record)) <= CAP + SLACK)  # while it runs
    assert record.stdout_size == 30_000_000
    page = await queue.read_logs(job.job_id, tail=5)
    assert page.stdout == [_line(n) for n in range(299_995, 300_000)]
    shown = await _walk(queue, job.job_id)
    [(place, mark)] = [(n, found) for n, line in enumerate(shown) if (found := MARK.match(line))]
    assert shown[: HEAD // 100] == [_line(n) for n in range(HEAD // 100)]
    assert place == HEAD // 100 + 1
    left_out = int(mark[1])
    assert abs(30_000_000 - CAP - left_out) < SLACK
    tail = shown[place + 2 :]
    assert tail == [_line(n) for n in range(300_000 - len(tail), 300_000)]
    logs = await queue.get_job_logs(job.job_id)
    assert logs["stdout_lines"] == len(shown) - 2  # without the mark, the cut line counted once
    lines.let_go()
    await queue.wait_for_job(job.job_id, GUARD)
    assert await _walk(queue, job.job_id) == shown


@pytest.mark.parametrize("how", ["", "SIGKILL"])
async def test_what_a_short_job_wrote_is_bounded_too(queue: QueueManager, how: str) -> None:
    record = await run(queue, "floods", megabytes=5, how=how)
    await _gone(queue)
    log = _log(queue, record)
    assert _on_disk(log) <= CAP + SLACK
    assert log.stat().st_size == record.stdout_size == 5_000_000
    page = await queue.read_logs(record.job_id, tail=1)
    assert page.stdout == [_line(49_999)]


async def test_a_line_of_100_mb_is_shown_in_pieces(queue: QueueManager) -> None:
    record = await run(queue, "floods", megabytes=100, width=0)
    await _gone(queue)
    assert _on_disk(_log(queue, record)) <= CAP + SLACK
    shown = await _walk(queue, record.job_id)
    [left_out] = [int(mark[1]) for line in shown if (mark := MARK.match(line))]
    assert abs(100_000_000 - CAP - left_out) < SLACK
    [line] = (await queue.read_logs(record.job_id, tail=10)).stdout
    assert len(line) < 20_000


async def test_a_log_under_the_cap_is_whole(queue: QueueManager) -> None:
    record = await run(queue, "floods", megabytes=1, width=1000)
    await _gone(queue)
    assert [line[:8] for line in await _walk(queue, record.job_id)] == [
        f"{n:08}" for n in range(1000)
    ]
