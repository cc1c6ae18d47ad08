"""A registry that is locked, full, damaged, strange or gone."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_queue.errors import RegistryError
from mcp_queue.system import crash as points
from support import disks, invariants, scenes
from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, failure, greet, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.scenes import Scene
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]

SUPPORT = Path(__file__).parents[1] / "support"


async def test_row_26_stopped_writer(
    server: Setup, witness: Witness, lines: Lifelines, record_property: RecordProperty
) -> None:
    """One server is stopped in the middle of a write; the others read, and are told in time."""
    stops = {points.POINT: "submit.before_commit", points.SIGNAL: str(int(signal.SIGSTOP))}
    with RawClient(server.command) as other, RawClient(server.command, env=stops) as holder:
        greet(other)
        greet(holder)
        job_id = call(other, "gated", port=lines.port, answer="kept")["job_id"]
        witness.told(job_id)
        lines.take()
        held = holder.post("tools/call", {"name": "add", "arguments": {"a": 1, "b": 1}})
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
        lines.let_go()  # the supervisor has something to write, and cannot
        asked = time.monotonic()
        error = refused(other, "add", a=1, b=2)
        record_property("seconds until the refusal", round(time.monotonic() - asked, 2))
        assert error["code"] == "registry_busy"
        assert error["hint"]
        slowest = 0.0
        for _ in range(20):
            asked = time.monotonic()
            jobs = call(other, "queue_list_jobs")["jobs"]
            slowest = max(slowest, time.monotonic() - asked)
            assert [job["job_id"] for job in jobs] == [job_id]
        record_property("slowest read meanwhile, ms", round(slowest * 1000, 1))
        holder.send_signal(signal.SIGCONT)
        handle = holder.answer(held).message["result"]["structuredContent"]
        witness.told(handle["job_id"])
        for wanted, result in ((job_id, "kept"), (handle["job_id"], 2)):
            answer = call(other, "queue_wait_job", job_ids=[wanted], timeout_seconds=GUARD)
            assert answer["jobs"][0]["result"] == result
        assert call(other, "add", a=1, b=2)["success"]


async def test_row_27_disk_full(
    settings: Settings, lines: Lifelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disks.small_disk(tmp_path) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))  # of registries in memory
        settings = replace(settings, registry_path=str(disk / "registry.db"))
        async with scenes.scene(settings) as scene:
            small = await scene.submit("gated", port=lines.port, answer="small")
            large = await scene.submit("gated", port=lines.port, answer="x" * 100_000)
            writes = await scene.submit(
                "writes_after_meeting", port=lines.port, size=disks.SIZE << 20
            )
            await lines.arrive(3)
            filler = disks.fill(disk)
            accepted: list[JobRecord] = []
            with pytest.raises(RegistryError) as refusal:
                await submit_until_refused(scene, accepted)
            assert "full" in str(refusal.value)
            assert "Make room" in refusal.value.hint
            health = await scene.queue.get_queue_health()
            assert health["status"] == "degraded"
            assert "full" in health["problem"]
            lines.let_go()
            await invariants.becomes(lambda: not invariants.workers(), "a worker on a full disk")
            assert len(await scene.queue.list_jobs()) == 3 + len(accepted)
            filler.unlink()
            assert (await scene.done(small)).status in ("completed", "failed")
            record = await scene.done(large)
            assert failure(record)[0] == "failed"
            assert record.result is None
            assert failure(await scene.done(writes))[0] == "failed"
            assert (await scene.run("add", a=2, b=3)).result == 5
            assert (await scene.queue.get_queue_health())["status"] == "healthy"


async def submit_until_refused(scene: Scene, accepted: list[JobRecord]) -> None:
    while len(accepted) < 1000:
        job = await scene.submit("add", a=2, b=3)
        accepted.append(job)


async def test_row_27_fsync_fails(
    server: Setup, witness: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(SUPPORT / "site_fsync"), os.environ["PYTHONPATH"]])
    monkeypatch.setenv("FSYNC_FAILS", str(tmp_path / "fails"))
    with RawClient(server.command, env={"PYTHONPATH": path}) as client:
        greet(client)
        first = call(client, "add", a=2, b=3)["job_id"]
        assert call(client, "queue_wait_job", job_ids=[first])["jobs"][0]["result"] == 5
        (tmp_path / "fails").touch()
        error = refused(client, "add", a=2, b=3)
        assert error["code"] == "registry_error"
        assert "cannot be written" in error["message"]
        (tmp_path / "fails").unlink()
        second = call(client, "add", a=2, b=4)["job_id"]
        assert call(client, "queue_wait_job", job_ids=[second])["jobs"][0]["result"] == 6
        witness.told(first)
        witness.told(second)
