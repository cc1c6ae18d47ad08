"""What becomes of jobs when the process that submitted them leaves, or is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_queue.jobs import member_rows
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import QueueManager
from mcp_queue.system.identity import identity_of
from mcp_queue.system.watch import watch
from support.processes import GUARD
from support.queues import clear, done, opened, run, submit, supervisor_pid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_queue.config import Settings
    from mcp_queue.system.watch import Watch
    from support.processes import Lifelines


@contextmanager
def _holder(settings: Settings, name: str, **params: Any) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "support.holder", json.dumps(asdict(settings)), name,
         json.dumps(params)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def _told(process: subprocess.Popen[str]) -> tuple[Path, str]:
    assert process.stdout is not None
    path, job_id = json.loads(process.stdout.readline())
    return Path(path), job_id


def _supervisor(path: Path) -> Watch:
    registry = Registry(str(path))
    found = member_rows.supervisor(registry)
    registry.close()
    assert found is not None
    watching = watch(found.identity)
    assert watching is not None
    return watching


async def _is_dead(watching: Watch) -> None:
    with anyio.fail_after(GUARD):
        await anyio.wait_readable(watching)
    watching.close()


def _descriptors(pid: int) -> set[str]:
    return {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.fixture
def in_memory(persistent: Settings) -> Settings:
    return replace(persistent, in_memory=True, registry_path=None)


async def test_killed_in_memory_everything_goes(in_memory: Settings, lines: Lifelines) -> None:
    with _holder(in_memory, "stubborn", how="waits", port=lines.port) as holder:
        path, _ = _told(holder)
        await lines.arrive(3)
        supervisor = _supervisor(path)
        holder.kill()
        await lines.end()
        await _is_dead(supervisor)
    assert not path.parent.exists()


async def test_left_in_order_in_memory_jobs_are_asked_first(
    in_memory: Settings, lines: Lifelines
) -> None:
    with _holder(in_memory, "obeys", port=lines.port) as holder:
        path, _ = _told(holder)
        await lines.arrive()
        supervisor = _supervisor(path)
        holder.communicate("", timeout=GUARD)
        assert holder.returncode == 0
        # Its end was waited for.
        assert not path.parent.exists()
        await lines.end()
        await _is_dead(supervisor)


async def test_left_in_order_in_memory_the_stubborn_are_killed(
    in_memory: Settings, lines: Lifelines
) -> None:
    settings = replace(in_memory, shutdown_timeout=0.3)
    with _holder(settings, "stubborn", how="spins", port=lines.port) as holder:
        path, _ = _told(holder)
        await lines.arrive(3)
        holder.communicate("", timeout=GUARD)
        assert lines.living() == 0
        assert not path.parent.exists()


async def test_closed_as_soon_as_submitted_nothing_stays(in_memory: Settings) -> None:
    for _ in range(3):
        queue = await QueueManager.open(in_memory)
        await submit(queue, "nothing")
        await queue.close()
        assert not Path(queue.registry_path).parent.exists()


async def test_closed_while_the_supervisor_starts_nothing_stays(in_memory: Settings) -> None:
    for pause in (0.0, 0.01, 0.05):
        queue = await QueueManager.open(in_memory)
        await submit(queue, "nothing")
        await anyio.sleep(pause)
        await queue.close()
        assert not Path(queue.registry_path).parent.exists()


async def test_an_unused_queue_leaves_nothing(in_memory: Settings) -> None:
    queue = await QueueManager.open(in_memory)
    await queue.add_job("nothing", "added", {})
    await queue.close()
    assert not Path(queue.registry_path).parent.exists()


async def test_a_folder_goes_though_the_supervisor_was_killed(in_memory: Settings) -> None:
    queue = await QueueManager.open(in_memory)
    await run(queue, "nothing")
    pid = await supervisor_pid(queue)
    supervisor = _supervisor(Path(queue.registry_path))
    os.kill(pid, signal.SIGKILL)
    await _is_dead(supervisor)
    await queue.close()
    assert not Path(queue.registry_path).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_workers_in_memory_die_with_their_supervisor(
    in_memory: Settings, lines: Lifelines, number: int
) -> None:
    async with opened(in_memory) as queue:
        job = await submit(queue, "gated", port=lines.port)
        await lines.arrive()
        os.kill(await supervisor_pid(queue), number)
        await lines.end()
        record = await done(queue, job)
        assert record.error is not None
        assert record.error.code == "interrupted"
        assert (await run(queue, "add", a=1, b=1)).result == 2


async def test_killed_with_a_persistent_registry_the_job_goes_on(
    persistent: Settings, lines: Lifelines
) -> None:
    with _holder(persistent, "gated", port=lines.port, answer=[1]) as holder:
        _, job_id = _told(holder)
        await lines.arrive()
        holder.kill()
    async with opened(persistent) as queue:
        job = await queue.get_job_status(job_id)
        assert (job.status, job.progress, job.description) == ("running", 10, "at the gate")
        lines.let_go()
        record = await done(queue, job)
        assert (record.status, record.result) == ("completed", [1])
        logs = await queue.get_job_logs(job_id)
        assert logs["stdout"] == ["at the gate", "through the gate"]
        assert (await queue.get_queue_health())["servers"] == 1


async def test_a_job_that_nobody_waits_for_ends_all_the_same(
    persistent: Settings, lines: Lifelines
) -> None:
    with _holder(persistent, "gated", port=lines.port, answer=[1]) as holder:
        path, job_id = _told(holder)
        await lines.arrive()
        holder.communicate("", timeout=GUARD)
    lines.let_go()
    clear(str(path))  # waits for the job
    async with opened(persistent) as queue:
        record = await queue.get_job_status(job_id)
        assert (record.status, record.result) == ("completed", [1])
        assert (await queue.get_queue_health())["supervisor"] == {"running": False}


async def test_everything_killed_at_once_loses_no_job(
    persistent: Settings, lines: Lifelines
) -> None:
    with _holder(persistent, "gated", port=lines.port, answer=[1]) as holder:
        path, job_id = _told(holder)
        await lines.arrive()
        supervisor = _supervisor(path)
        supervisor.send(signal.SIGKILL)
        holder.kill()
    await _is_dead(supervisor)
    async with opened(persistent) as queue:
        job = await queue.get_job_status(job_id)
        assert job.status == "running"
        lines.let_go()
        record = await done(queue, job)
        assert (record.status, record.result) == ("completed", [1])


async def test_an_idle_supervisor_leaves_and_another_one_comes(
    persistent: Settings, record_property: Callable[[str, object], None]
) -> None:
    queue = await QueueManager.open(persistent)
    await run(queue, "nothing")
    await queue.add_job("add", "added", {"a": 1, "b": 2})  # not started: it holds nobody
    first = await supervisor_pid(queue)
    supervisor = _supervisor(Path(queue.registry_path))
    await queue.close()
    before = anyio.current_time()
    await _is_dead(supervisor)
    record_property("seconds until it left", round(anyio.current_time() - before, 2))
    async with opened(persistent) as queue:
        assert (await queue.get_queue_health())["supervisor"] == {"running": False}
        await queue.start_job("added")
        assert (await queue.wait_for_job("added", GUARD)).result == 3
        assert await supervisor_pid(queue) != first


async def test_the_supervisor_is_out_of_our_tree(settings: Settings) -> None:
    import psutil

    async with opened(settings) as queue:
        await run(queue, "nothing")
        pid = await supervisor_pid(queue)
        assert identity_of(pid) is not None
        assert pid not in {child.pid for child in psutil.Process().children(recursive=True)}
        assert os.getsid(pid) != os.getsid(0)
        descriptors = _descriptors(pid)
        allowed = ("/dev/null", "anon_inode", "socket:", f"{Path(queue.registry_path).parent}/")
        assert all(target.startswith(allowed) for target in descriptors), descriptors
