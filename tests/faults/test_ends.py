"""However a worker ends, its job ends once, at once, and says how."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from mcp_queue import clock
from mcp_queue.commands import loading
from mcp_queue.commands.catalog import registry as catalog
from support.queues import worker_pid
from support.scenes import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mcp_queue.jobs.record import JobRecord
    from support.fixtures import Killed
    from support.processes import Lifelines
    from support.scenes import Scene

    RecordProperty = Callable[[str, object], None]


pytestmark = pytest.mark.supervisor_killed


def end(record: JobRecord) -> tuple[str | None, int | None, str | None]:
    """All that a failed job tells of its worker's end."""
    return failure(record)[1], record.exit_code, record.signal


async def test_row_01_os_exit(
    scene: Scene, lines: Lifelines, record_property: RecordProperty, killed: Killed
) -> None:
    job = await scene.submit("exits_after_meeting", port=lines.port, code=3)
    await lines.arrive()
    lines.let_go()
    left = clock.monotonic()
    record = await scene.done(job)
    record_property("milliseconds from the exit to failed", milliseconds(left))
    assert record.status == "failed"
    assert end(record) == killed.lost("exit", exit_code=3)
    assert (await scene.logs(job))["stdout"] == ["before", "at the end"]


async def test_row_02_segfault(scene: Scene, killed: Killed) -> None:
    record = await scene.run("dies", how="segfault")
    assert record.status == "failed"
    assert end(record) == killed.lost("signal", signal="SIGSEGV")
    assert (await scene.logs(record))["stdout"] == ["last line"]


async def test_row_03_kill_9(
    scene: Scene, lines: Lifelines, record_property: RecordProperty, killed: Killed
) -> None:
    job = await scene.submit("gated", port=lines.port)
    await lines.arrive()
    worker = await worker_pid(scene.queue, job)
    since = clock.monotonic()
    os.kill(worker, signal.SIGKILL)
    record = await scene.done(job)
    record_property("milliseconds from the kill to failed", milliseconds(since))
    assert record.status == "failed"
    assert end(record) == killed.lost("signal", signal="SIGKILL")
    assert (await scene.logs(job))["stdout"] == ["at the gate"]
    await lines.end()


@pytest.mark.parametrize(
    ("command", "what", "message"),
    [
        ("raises", "error", "ValueError: no good"),
        ("raises_unpicklable", None, "_UnpicklableError: cannot be pickled"),
        ("raises", "SystemExit", "SystemExit: 3"),
        ("raises", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("raises", "broken", "_BrokenTextError: (its text cannot be made)"),
    ],
)
async def test_row_04_raises(scene: Scene, command: str, what: str | None, message: str) -> None:
    record = await scene.run(command, **({"what": what} if what else {}))
    assert failure(record) == ("failed", "exception")
    assert str(record.error) == message
    log = (await scene.logs(record))["stderr"]
    assert log[0] == "Traceback (most recent call last):"
    assert any(message.partition(":")[0] in line for line in log)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nan", "result['a'][1]: nan is no JSON number"),
        ("surrogate", "result['a']: text that is not valid Unicode"),
        ("bytes", "result['a']: bytes is no JSON value"),
        ("key", "result['a']: the key frozenset({1})"),
        ("cycle", "it contains itself"),
        ("deep", "nested more than 200 deep"),
    ],
)
async def test_row_05_result_json_cannot_hold(scene: Scene, what: str, message: str) -> None:
    record = await scene.run("returns", what=what)
    assert failure(record) == ("failed", "result_not_serializable")
    assert message in str(record.error)


async def test_row_05_result_of_100_mb(scene: Scene, record_property: RecordProperty) -> None:
    size = 100_000_000
    job = await scene.submit("returns_bytes_of", size=size)
    ended = asyncio.create_task(scene.done(job))
    waits: list[float] = []
    while not ended.done():
        asked = clock.monotonic()
        await scene.queue.get_queue_health()
        await scene.queue.list_jobs()
        waits.append(clock.monotonic() - asked)
        await asyncio.sleep(0)
    record = await ended
    record_property("longest answer of the queue meanwhile, ms", round(max(waits) * 1000, 1))
    assert (record.status, record.result_size) == ("completed", size)
    assert len(await scene.queue.result_of(job.job_id)) == size - 2
    await scene.queue.delete_job(job.job_id)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[str]:
    """A command whose module can be imported by a server, and not by a worker."""
    path = tmp_path / "broken_in_workers.py"
    path.write_text(
        "import os\nfrom mcp_queue import command\n"
        "if 'MCP_QUEUE_RUN' in os.environ:\n    import a_module_that_is_not_there\n"
        "@command(use_queue=True)\ndef broken_in_workers() -> None: ...\n"
    )
    loading.load(str(path))
    yield "broken_in_workers"
    catalog.unregister("broken_in_workers")


async def test_row_06_import_error(scene: Scene, broken: str) -> None:
    record = await scene.run(broken)
    assert failure(record) == ("failed", "import_error")
    assert "broken_in_workers.py" in str(record.error)
    assert "a_module_that_is_not_there" in str(record.error)
    assert "Traceback" in (await scene.logs(record))["stderr"][0]


def milliseconds(since: float) -> float:
    return round((clock.monotonic() - since) * 1000, 1)
