"""How a job ends: its result, or one error that says why, the logs kept in every case."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_queue.commands import loading
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.config import Settings
from support.queues import done, run, submit, until, worker_pid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_queue.manager import QueueManager
    from support.fixtures import Killed
    from support.processes import Lifelines


pytestmark = pytest.mark.supervisor_killed


async def test_a_result_is_the_bare_return_value(queue: QueueManager) -> None:
    record = await run(queue, "add", a=2, b=3)
    assert (record.status, record.result, record.error) == ("completed", 5, None)
    assert (record.progress, record.attempt, record.exit_code) == (100.0, 1, None)
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.created_at <= record.started_at <= record.finished_at
    assert await queue.result_of(record.job_id) == 5


async def test_a_coroutine_is_awaited(queue: QueueManager) -> None:
    assert (await run(queue, "add_async", a=2, b=3)).result == 5


async def test_no_result_is_null(queue: QueueManager) -> None:
    record = await run(queue, "nothing")
    assert (record.status, record.result, record.result_size) == ("completed", None, 4)


@pytest.mark.parametrize(
    ("what", "message", "in_log"),
    [
        ("error", "ValueError: no good", "raise _RAISED"),
        ("SystemExit", "SystemExit: 3", "SystemExit"),
        ("KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("broken", "_BrokenTextError: (its text cannot be made)", "_BrokenTextError"),
        ("surrogate", "ValueError: half ? a pair", "ValueError"),
    ],
)
async def test_whatever_a_command_raises_is_an_exception(
    queue: QueueManager, what: str, message: str, in_log: str
) -> None:
    record = await run(queue, "raises", what=what)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "exception")
    assert str(record.error) == message
    assert (record.progress, record.description) == (42, "last words")
    assert in_log in "\n".join((await queue.get_job_logs(record.job_id))["stderr"])


async def test_an_endless_message_is_cut(queue: QueueManager) -> None:
    record = await run(queue, "raises", what="long")
    assert 1000 < len(str(record.error)) <= 4096


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nan", "result['a'][1]: nan is no JSON number"),
        ("surrogate", "result['a']: text that is not valid Unicode"),
        ("bytes", "result['a']: bytes is no JSON value; return mcp_queue.File"),
        ("key", "result['a']: the key frozenset({1})"),
        ("object", "result['a']: JSON has no form for a value of type object"),
        ("cycle", "it contains itself"),
        ("deep", "nested more than 200 deep"),
        ("number", "digits"),
    ],
)
async def test_what_json_cannot_hold_is_named(queue: QueueManager, what: str, message: str) -> None:
    record = await run(queue, "returns", what=what)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "result_not_serializable")
    assert message in str(record.error)


@pytest.mark.parametrize(
    ("how", "code", "exit_code", "signal"),
    [
        ("3", "exit", 3, None),
        ("0", "exit", 0, None),
        ("SIGKILL", "signal", None, "SIGKILL"),
        ("SIGINT", "exception", None, None),  # Python's own handler raises
        ("segfault", "signal", None, "SIGSEGV"),
    ],
)
async def test_a_worker_that_dies_tells_how(
    queue: QueueManager,
    how: str,
    code: str,
    exit_code: int | None,
    signal: str | None,
    killed: Killed,
) -> None:
    record = await run(queue, "dies", how=how)
    assert record.status == "failed"
    assert record.error is not None
    end = (record.error.code, record.exit_code, record.signal)
    assert end == (
        killed.lost(code, exit_code, signal) if code != "exception" else (code, None, None)
    )
    assert (await queue.get_job_logs(record.job_id))["stdout"] == ["last line"]


@pytest.mark.supervisor_stays("with both dead, a daemon without the run's mark is out of reach")
async def test_what_a_dying_worker_leaves_dies_too(queue: QueueManager, lines: Lifelines) -> None:
    job = await submit(queue, "dies", how="3", port=lines.port)
    await lines.arrive(3)
    os.kill(await worker_pid(queue, job), signal.SIGKILL)
    record = await done(queue, job)
    await lines.end()
    assert (record.status, record.signal) == ("failed", "SIGKILL")


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[str]:
    """A command whose module can be imported by a server, and not by a worker."""
    path = tmp_path / "broken_in_workers.py"
    path.write_text(
        "import os\nfrom mcp_queue import command\n"
        "if 'MCP_QUEUE_RUN' in os.environ:\n    raise RuntimeError('not here')\n"
        "@command(use_queue=True)\ndef broken_in_workers() -> None: ...\n"
    )
    loading.load(str(path))
    yield "broken_in_workers"
    catalog.unregister("broken_in_workers")


async def test_a_module_that_cannot_be_imported_is_named(queue: QueueManager, broken: str) -> None:
    record = await run(queue, broken)
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "import_error")
    assert "broken_in_workers.py" in str(record.error)
    assert "not here" in str(record.error)


@pytest.mark.parametrize(("what", "size"), [("large", 1_200_002), ("nested", 1402)])
async def test_what_is_too_large_or_deep_to_show_is_read_from_its_file(
    queue: QueueManager, what: str, size: int
) -> None:
    record = await run(queue, "returns", what=what)
    assert (record.status, record.result_size) == ("completed", size)
    result = json.dumps(record.result, separators=(",", ":"), ensure_ascii=False)
    assert len(result.encode()) == size
    assert await queue.result_of(record.job_id) == record.result
    assert replace(record, result=None) in await queue.list_jobs()


async def test_output_of_python_c_and_children_is_in_the_logs(queue: QueueManager) -> None:
    record = await run(queue, "noisy")
    logs = await queue.get_job_logs(record.job_id)
    assert logs["stdout"] == ["line from Python", "line from C", "line from a child"]
    assert logs["stderr"] == ["error from Python", "error without a newline"]
    assert (logs["stdout_lines"], logs["stderr_lines"]) == (3, 2)
    assert record.stdout_size == sum(len(line) + 1 for line in logs["stdout"])
    page = await queue.read_logs(record.job_id, tail=1)
    assert (page.stdout, page.stderr) == (["line from a child"], ["error without a newline"])
    page = await queue.read_logs(record.job_id, stream="stdout", contains="from C")
    assert (page.stdout, page.stderr) == (["line from C"], [])


async def test_a_worker_is_lean_and_alone(queue: QueueManager) -> None:
    record = await run(queue, "look_around")
    seen = record.result
    assert seen["modules"] == []
    # The outcome's files are held out of the way: what a job opens first gets descriptor 3.
    assert not {"3", "4", "5"} & set(seen["descriptors"])
    held = {Path(path).name for name, path in seen["descriptors"].items() if int(name) > 2}
    assert held == {"events.jsonl", "result.json", "null"}
    assert seen["descriptors"]["0"] == os.devnull
    assert seen["descriptors"]["1"].endswith(f"{record.run_id}/stdout.log")
    assert seen["descriptors"]["2"].endswith(f"{record.run_id}/stderr.log")
    assert seen["session"]
    assert seen["folder"] == str(Path.cwd())
    assert seen["nice"] >= Settings().niceness
    assert seen["mark"] == record.run_id


async def test_a_fork_of_a_job_does_not_end_it(queue: QueueManager, lines: Lifelines) -> None:
    job = await submit(queue, "forks", port=lines.port)
    await lines.arrive()
    assert (await queue.get_job_status(job.job_id)).status == "running"
    lines.let_go()
    record = await done(queue, job)
    assert (record.status, record.result) == ("completed", "child left with 3")


async def test_progress_is_coalesced_clamped_and_never_lost(
    queue: QueueManager, lines: Lifelines, record_property: Callable[[str, object], None]
) -> None:
    seen: list[float] = []

    async def watch() -> None:
        await until(queue, job, lambda r: seen.append(r.progress) or r.description == "clamped")

    job = await submit(queue, "progress", updates=10_000, port=lines.port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
    record_property("changes seen of 10,000", len(seen))
    assert seen == sorted(seen)
    assert len(seen) < 5_000
    await lines.arrive()
    assert (await queue.get_job_status(job.job_id)).progress == 100.0
    lines.let_go()
    await until(queue, job, lambda r: (r.progress, r.description) == (0.0, "below"))
    await lines.arrive()
    lines.let_go()
    await until(queue, job, lambda r: (r.progress, r.description) == (55.5, "below"))
    await lines.arrive()
    lines.let_go()
    record = await done(queue, job)
    assert (record.status, record.progress, record.description) == ("failed", 55.5, "below")
    warnings = [
        line
        for line in (await queue.get_job_logs(job.job_id))["stderr"]
        if line.startswith("warning")
    ]
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [("half \ud800 a pair", "half ? a pair"), ("x" * 5000, "x" * 1024), ("a\0b\n", "a\0b\n")],
    ids=["surrogate", "long", "control"],
)
async def test_any_description_is_shown(
    queue: QueueManager, lines: Lifelines, text: str, shown: str
) -> None:
    job = await submit(queue, "describes", text=json.dumps(text), port=lines.port)
    await until(queue, job, lambda r: r.description == shown)
    await lines.arrive()
    lines.let_go()
    assert (await done(queue, job)).status == "completed"
