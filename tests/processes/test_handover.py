"""A newer server gets a newer supervisor; what runs goes on under it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import mcp_queue
from mcp_queue.manager import QueueManager
from support.processes import GUARD
from support.queues import done, opened, run, submit, supervisor_pid, worker_pid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_queue.config import Settings
    from support.processes import Lifelines

SERVER = """
import asyncio, sys
import support.job_commands
from mcp_queue import QueueManager, registry
from mcp_queue.config import Settings

async def main():
    settings = Settings(in_memory=False, registry_path=sys.argv[1], stop_grace_seconds=0.3)
    async with await QueueManager.open(settings) as queue:
        if sys.argv[2] != "0":
            await queue.submit(registry.get("gated"), {"port": int(sys.argv[2])}, job_id="theirs")
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
"""A server of the package that PYTHONPATH names, until its input ends; it may queue a job."""


@contextmanager
def server(folder: Path, settings: Settings, version: str, port: int = 0) -> Iterator[None]:
    """A server with a copy of the package of another version."""
    package = Path(mcp_queue.__file__).parent
    copy = folder / version / "mcp_queue"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / "version.py").read_text()
    text, count = re.subn(r'__version__ = ".*"', f'__version__ = "{version}"', text)
    assert count == 1
    (copy / "version.py").write_text(text)
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(settings.registry_path), str(port)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(copy.parent), str(tests)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            yield
        finally:
            process.communicate()
    assert process.returncode == 0


async def _supervised_by(queue: QueueManager, version: str) -> int:
    """The pid of the supervisor, once it has that version."""
    with anyio.fail_after(GUARD):
        while True:
            pid = await supervisor_pid(queue)
            found = (await queue.get_queue_health())["supervisor"]
            if found == {**found, "running": True, "pid": pid, "version": version}:
                return pid
            await anyio.sleep(0.01)


async def test_an_older_supervisor_hands_over(
    persistent: Settings, tmp_path: Path, lines: Lifelines
) -> None:
    with server(tmp_path, persistent, "0.0.9", lines.port):
        await lines.arrive()
        async with opened(persistent) as queue:
            job = await queue.get_job_status("theirs")
            worker = await worker_pid(queue, job)
            await _supervised_by(queue, mcp_queue.__version__)
            assert await worker_pid(queue, job) == worker
            lines.let_go()
            record = await done(queue, job)
            assert (record.status, record.attempt, record.error) == ("completed", 1, None)
            logs = await queue.get_job_logs(job.job_id)
            assert logs["stdout"] == ["at the gate", "through the gate"]
            assert (await run(queue, "add", a=1, b=2)).result == 3


async def test_an_older_server_leaves_it_to_the_newer_one(
    persistent: Settings, tmp_path: Path, lines: Lifelines
) -> None:
    async with opened(persistent) as queue:
        job = await submit(queue, "gated", answer=7, port=lines.port)
        await lines.arrive()
        older = await supervisor_pid(queue)
        with server(tmp_path, persistent, "99.0"):
            newer = await supervisor_pid(queue, other_than=older)
            assert await _supervised_by(queue, "99.0") == newer
            assert (await run(queue, "add", a=1, b=2)).result == 3
            lines.let_go()
            assert (await done(queue, job)).result == 7


async def test_a_newer_supervisor_serves_older_servers(
    persistent: Settings, tmp_path: Path, lines: Lifelines
) -> None:
    with server(tmp_path, persistent, "99.0", lines.port):
        await lines.arrive()
        async with opened(persistent) as queue:
            newer = await _supervised_by(queue, "99.0")
            assert (await run(queue, "add", a=1, b=2)).result == 3
            async with await QueueManager.open(persistent) as other:
                assert (await run(other, "add", a=1, b=2)).result == 3
            assert await supervisor_pid(queue) == newer
            lines.let_go()
            assert (await queue.wait_for_job("theirs", GUARD)).status == "completed"
