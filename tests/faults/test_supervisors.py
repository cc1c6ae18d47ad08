"""Supervisors that die, come back to a changed world, or leave as work arrives."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_queue import clock
from mcp_queue.errors import JobNotFoundError
from mcp_queue.jobs import job_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.manager import supervision
from support import harm, invariants, queues, scenes
from support.processes import GUARD, sleeper
from support.queues import freeze_supervisor, supervisor_pid, worker_pid
from support.rawclient import RawClient
from support.scenes import call, failure, greet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp_queue.config import Settings
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.scenes import Scene
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]


@pytest.fixture
async def scene(persistent: Settings) -> AsyncIterator[Scene]:
    async with scenes.scene(replace(persistent, max_concurrent_jobs=2)) as scene:
        yield scene


async def test_row_19_adoption(
    scene: Scene, lines: Lifelines, record_property: RecordProperty
) -> None:
    """What runs goes on and is adopted, what waits runs, under a new supervisor."""
    jobs = [await scene.submit("gated", port=lines.port, answer=n) for n in range(2)]
    await lines.arrive(2)
    waiting = [await scene.submit("add", a=1, b=n) for n in range(3)]
    first = await supervisor_pid(scene.queue)
    killed = clock.monotonic()
    os.kill(first, signal.SIGKILL)
    await supervisor_pid(scene.queue, other_than=first)
    record_property("seconds without a supervisor", round(clock.monotonic() - killed, 3))
    assert lines.living() == 2
    lines.let_go()
    for n, job in enumerate(jobs):
        record = await scene.done(job)
        assert (record.status, record.result, record.progress) == ("completed", n, 100)
        assert record.description == "through the gate"
        assert (await scene.logs(job))["stdout"] == ["at the gate", "through the gate"]
        assert record.attempt == 1
    for n, job in enumerate(waiting):
        assert (await scene.done(job)).result == n + 1


async def test_row_19_ended_in_between(scene: Scene, lines: Lifelines) -> None:
    """One job returned and one died while nobody supervised: the folder tells, or nothing does."""
    ends, dies = [await scene.submit("gated", port=lines.port, answer=1) for _ in range(2)]
    await lines.arrive(2)
    victim = await worker_pid(scene.queue, dies)
    supervisor = await freeze_supervisor(scene.queue)
    os.kill(victim, signal.SIGKILL)
    lines.let_go()
    run_id = (await scene.queue.get_job_status(ends.job_id)).run_id
    assert run_id is not None
    events = RegistryFolder(scene.queue.registry_path).run(run_id).events
    await invariants.becomes(lambda: '"outcome"' in events_of(events), "no outcome")
    os.kill(supervisor, signal.SIGKILL)
    record = await scene.done(ends)
    assert (record.status, record.result, record.attempt) == ("completed", 1, 1)
    assert (await scene.logs(ends))["stdout"] == ["at the gate", "through the gate"]
    record = await scene.done(dies)
    assert failure(record) == ("failed", "interrupted")
    assert (record.exit_code, record.signal) == (None, None)


async def test_row_19_in_memory(persistent: Settings, lines: Lifelines) -> None:
    """What runs dies with its supervisor and is interrupted; what waits runs under the next."""
    settings = replace(persistent, in_memory=True, max_concurrent_jobs=1)
    async with scenes.scene(settings) as scene:
        job = await scene.submit("gated", port=lines.port)
        await lines.arrive()
        waiting = await scene.submit("add", a=2, b=3)
        os.kill(await supervisor_pid(scene.queue), signal.SIGKILL)
        assert failure(await scene.done(job)) == ("failed", "interrupted")
        assert (await scene.done(waiting)).result == 5
        await lines.end()


async def test_row_19_killed_again_and_again(scene: Scene, lines: Lifelines) -> None:
    job = await scene.submit("gated", port=lines.port)
    await lines.arrive()
    before = 0
    for _ in range(5):
        before = await supervisor_pid(scene.queue, other_than=before)
        os.kill(before, signal.SIGKILL)
    lines.let_go()
    assert failure(await scene.done(job)) == ("completed", None)


@pytest.mark.parametrize("point", ["spawn.before_record", "spawn.after_record"])
async def test_row_20_killed_at_the_spawn(
    persistent: Settings, crash: Callable[..., None], tmp_path: Path, point: str
) -> None:
    crash(point)
    await runs_once(persistent, tmp_path / "notes")


async def test_row_20_worker_killed_before_it_started(
    persistent: Settings, crash: Callable[..., None], tmp_path: Path
) -> None:
    crash("worker.before_started")
    await runs_once(persistent, tmp_path / "notes")


async def runs_once(settings: Settings, notes: Path) -> None:
    async with scenes.scene(settings) as stage:
        job = await stage.submit("note", path=str(notes), line="ran")
        record = await stage.done(job)
        assert (record.status, record.attempt) == ("completed", 1)
        assert notes.read_text() == "ran\n"
        ways = [after for _, after, _ in stage.witness.transitions(job.job_id)]
        assert [s for i, s in enumerate(ways) if i == 0 or ways[i - 1] != s] == [
            "pending", "running", "pending", "running", "completed",
        ]  # fmt: skip


async def test_row_20_never_starts(
    persistent: Settings,
    crash: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crash("worker.before_started", once=False)
    async with scenes.scene(persistent) as stage:
        job = await stage.submit("note", path=str(tmp_path / "notes"), line="ran")
        record = await stage.done(job)
        assert failure(record) == ("failed", "interrupted")
        assert not (tmp_path / "notes").exists()
        monkeypatch.delenv("MCP_QUEUE_CRASH_POINT")
        assert (await stage.run("add", a=2, b=3)).result == 5


@pytest.mark.parametrize("point", ["spawn.before_record", "spawn.after_record"])
async def test_row_20_supervisors_die_at_each_spawn(
    persistent: Settings,
    crash: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    """Many in a row: the job is not to blame, and the next one comes later each time."""
    crash(point, once=False)
    deaths = 6
    async with scenes.scene(persistent) as stage:
        begun = clock.monotonic()
        job = await stage.submit("note", path=str(tmp_path / "notes"), line="ran")

        def starts() -> int:
            changes = stage.witness.transitions(job.job_id)
            return sum((before, after) == ("pending", "running") for before, after, _ in changes)

        await invariants.becomes(lambda: starts() >= deaths, "supervisors that die")
        rests = sum(supervision.backoff(count) for count in range(1, deaths))
        assert clock.monotonic() - begun > rests > 1
        assert not (tmp_path / "notes").exists()
        monkeypatch.delenv("MCP_QUEUE_CRASH_POINT")
        record = await stage.done(job)
        assert (record.status, record.attempt) == ("completed", 1)
    assert (tmp_path / "notes").read_text() == "ran\n"


AFTERWARDS = pytest.mark.parametrize("then", ["nothing", "stop", "delete"])


@AFTERWARDS
async def test_row_21_reboot(
    server: Setup, witness: Witness, lines: Lifelines, persistent: Settings, then: str
) -> None:
    await wake_among_strangers(server, witness, lines, persistent, "rebooted", then)


async def test_row_21_retried_by_rule(
    server: Setup, witness: Witness, lines: Lifelines, persistent: Settings
) -> None:
    """A command that may be run again is, after the machine came back."""
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "tries_twice", port=lines.port)["job_id"]
        witness.told(job_id)
        lines.take()
        harm.kill_all(witness.path, more=[client.pid])
        client.wait()
    await lines.end()
    harm.reboot(witness.path)
    async with await invariants.QueueManager.open(
        replace(persistent, retry_backoff_seconds=0.01)
    ) as queue:
        await lines.arrive()
        lines.let_go()
        record = await queue.wait_for_job(job_id, 120)
        assert (record.status, record.attempt, record.result) == ("completed", 2, 2)


@AFTERWARDS
async def test_row_23_pid_reused(
    server: Setup, witness: Witness, lines: Lifelines, persistent: Settings, then: str
) -> None:
    await wake_among_strangers(server, witness, lines, persistent, "reused", then)


async def wake_among_strangers(
    server: Setup, witness: Witness, lines: Lifelines, persistent: Settings, world: str, then: str
) -> None:
    """The pids in the records belong to a stranger: after a reboot, or since pids come again."""
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "gated", port=lines.port)["job_id"]
        witness.told(job_id)
        lines.take()
        harm.kill_all(witness.path)
        client.wait()
    await lines.end()
    with sleeper() as stranger:
        harm.rewrite(witness.path, lambda _: harm.reused_identity(stranger.pid))
        if world == "rebooted":
            harm.reboot(witness.path)
        if then != "nothing":
            registry = Registry(witness.path)
            if then == "stop":
                job_rows.request_stop(registry, job_id)
            else:
                job_rows.delete(registry, job_id, "by client")
            registry.close()
        async with await invariants.QueueManager.open(persistent) as queue:
            record = await queue.wait_for_job(job_id, 120)
            wanted = {"nothing": ("failed", "interrupted"), "stop": ("stopped", None)}
            assert failure(record) == wanted.get(then, ("deleted", None))
            assert record.exit_code is None
        await invariants.check(persistent, witness)
        assert stranger.poll() is None


def events_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


DAY = 86_400


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[float], None]:
    """Sets the wall clock of every process, this one included, so many seconds off."""
    offset = tmp_path / "offset"
    path = [str(Path(scenes.__file__).with_name("site_clock")), os.environ["PYTHONPATH"]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))
    real = clock.wall

    def set_off(seconds: float) -> None:
        offset.with_suffix(".new").write_text(str(seconds), "ascii")
        offset.with_suffix(".new").replace(offset)
        monkeypatch.setattr(clock, "wall", lambda: real() + seconds)

    return set_off


async def test_row_24_no_early_timeout(
    persistent: Settings, lines: Lifelines, shift: Callable[[float], None]
) -> None:
    """The clock jumps by a day, back and forth, a new supervisor after each jump."""
    async with scenes.scene(persistent) as scene:
        job = await scene.submit("patient", port=lines.port)
        await lines.arrive()
        before = 0
        for days in (1, -1, 1, 0):
            shift(days * DAY)
            assert (await scene.run("add", a=2, b=3)).result == 5
            before = await supervisor_pid(scene.queue, other_than=before)
            os.kill(before, signal.SIGKILL)
            assert (await scene.run("add", a=2, b=3)).result == 5
            assert (await scene.queue.get_job_status(job.job_id)).status == "running"
        lines.let_go()
        assert failure(await scene.done(job)) == ("completed", None)


@pytest.mark.parametrize("days", [-1, 1])
async def test_row_24_timeout_in_time(
    persistent: Settings, lines: Lifelines, shift: Callable[[float], None], days: int
) -> None:
    """A jump puts no timeout off."""
    brisk = replace(persistent, niceness=0)  # it has begun before the time is up
    async with scenes.scene(brisk) as scene:
        job = await scene.submit("hasty", port=lines.port)
        await lines.arrive()
        shift(days * DAY)
        os.kill(await supervisor_pid(scene.queue), signal.SIGKILL)
        assert failure(await scene.done(job)) == ("failed", "timeout")
        await lines.end()


async def test_row_24_no_early_expiry(persistent: Settings, shift: Callable[[float], None]) -> None:
    """Within a boot no jump of the clock ages a job; over a boot the wall clock does."""
    settings = replace(persistent, completed_job_retention_seconds=3600)
    async with scenes.scene(settings) as scene:
        job = await scene.run("add", a=2, b=3)
        before = 0
        for days in (1, -1, 1, 0):
            shift(days * DAY)
            before = await supervisor_pid(scene.queue, other_than=before)
            os.kill(before, signal.SIGKILL)
            assert (await scene.run("add", a=2, b=3)).result == 5
            assert (await scene.queue.get_job_status(job.job_id)).result == 5
    harm.reboot(scene.witness.path)
    shift(DAY)
    async with await invariants.QueueManager.open(settings) as queue:
        assert (await queues.run(queue, "add", a=2, b=3)).result == 5
        with anyio.fail_after(GUARD):
            while job.job_id in [record.job_id for record in await queue.list_jobs()]:
                await anyio.sleep(0.01)
        with pytest.raises(JobNotFoundError):
            await queue.get_job_status(job.job_id)
    queues.clear(scene.witness.path)
