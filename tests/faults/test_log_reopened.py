"""Row 47: who opens a job's output anew, as `/dev/stdout`, takes nothing out of its log.

The measure is what the same code writes under plain Python with its output on pipes.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import support.reopening  # noqa: F401 (registers commands)
from mcp_queue.system import marks
from mcp_queue.system.log_readers import is_reader
from support import invariants, scenes
from support.processes import Lifelines
from support.queues import worker_pid
from support.rawclient import RawClient
from support.reopening import WAYS
from support.scenes import call, failure, greet
from support.serving import Setup

if TYPE_CHECKING:
    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from support.fixtures import Killed
    from support.invariants import Witness
    from support.scenes import Scene

pytestmark = [
    pytest.mark.supervisor_killed,
    pytest.mark.skipif(sys.platform != "linux", reason="a reopened log is another file elsewhere"),
]

ANEW = (b"a child\n", b"its error\n")


def logs_of(scene: Scene, job: JobRecord) -> tuple[bytes, bytes]:
    """What stands in both files."""
    assert job.run_id is not None
    folder = Path(scene.queue.registry_path + ".d") / "runs" / job.run_id
    return (folder / "stdout.log").read_bytes(), (folder / "stderr.log").read_bytes()


@cache
def plainly(way: str) -> tuple[bytes, bytes]:
    """What plain Python writes into pipes."""
    code = "import sys; from support.reopening import go; go(sys.argv[1])"
    done = subprocess.run([sys.executable, "-u", "-c", code, way], capture_output=True, check=True)
    return done.stdout, done.stderr


async def test_row_47_as_under_plain_python(scene: Scene) -> None:
    jobs = {way: await scene.submit("reopens", way=way) for way in WAYS}
    records = {way: await scene.done(job) for way, job in jobs.items()}
    differ = {
        way: (record.error, logs_of(scene, record), plainly(way))
        for way, record in records.items()
        if (record.result, logs_of(scene, record)) != (way, plainly(way))
    }
    assert differ == {}


async def test_row_47_an_error_shows_the_authors_lines_alone(scene: Scene) -> None:
    record = await scene.run("opens_what_is_not_there")
    assert failure(record) == ("failed", "exception")
    _, err = logs_of(scene, record)
    assert 'open("/nowhere")' in err.decode()
    assert "output.py" not in err.decode()


async def test_row_47_the_worker_becomes_another_program(scene: Scene, killed: Killed) -> None:
    record = await scene.run("becomes_another")
    assert failure(record) == ("failed", killed.lost("exit")[0])
    assert logs_of(scene, record) == (b"before\n" + ANEW[0], b"before\n" + ANEW[1])


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize(("how", "code"), [("exit", "exit"), ("kill", "signal")])
async def test_row_47_the_worker_dies_at_once(
    scene: Scene, how: str, code: str, size: int, killed: Killed
) -> None:
    record = await scene.run("reopens_and_dies", how=how, size=size)
    assert failure(record) == ("failed", killed.lost(code)[0])
    out, err = logs_of(scene, record)
    assert out == b"before\n" + b"x" * size + b"\nlast\n"
    assert err == b"before\n"


async def test_row_47_cursors_hold(server: Setup, witness: Witness, lines: Lifelines) -> None:
    server.commands.append("support.reopening")
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "meets_and_reopens", port=lines.port)["job_id"]
        witness.told(job_id)
        lines.take()
        early = call(client, "queue_get_job_logs", job_id=job_id, since="start")
        assert early["stdout"] == early["stderr"] == ["before"]
        lines.let_go()
        lines.take()
        lines.let_go()
        call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=30)
        late = call(client, "queue_get_job_logs", job_id=job_id, since=early["cursor"])
        assert late["stdout"] == ["a child", "after"]
        assert late["stderr"] == ["its error", "after"]
        whole = call(client, "queue_get_job_logs", job_id=job_id)
        assert whole["stdout"] == ["before", "a child", "after"]


async def test_row_47_a_daemon_goes_on_printing(scene: Scene, lines: Lifelines) -> None:
    with Lifelines() as gate:
        job = await scene.submit("leaves_a_printer", port=lines.port, gate=gate.port)
        await lines.arrive()
        await gate.arrive()
        gate.let_go()
        record = await scene.done(job)
    assert (record.status, record.result) == ("completed", "ended")
    out, err = logs_of(scene, record)
    assert b"the job's last line" in out
    assert err.endswith(b"the job's last line\n")
    await lines.end()


async def test_row_47_a_job_that_is_stopped(scene: Scene, lines: Lifelines) -> None:
    job = await scene.submit("meets_and_reopens", port=lines.port)
    await lines.arrive()
    lines.let_go()
    await lines.arrive()
    await scene.queue.stop_job(job.job_id)
    assert (await scene.done(job)).status == "stopped"
    out, err = logs_of(scene, await scene.done(job))
    assert out.startswith(b"before\n" + ANEW[0])
    assert err.startswith(b"before\n" + ANEW[1])


@pytest.mark.parametrize("settings", ["persistent"], indirect=True)
@pytest.mark.supervisor_stays("until the next one comes, nobody limits how much it writes")
async def test_row_47_a_flood_under_a_small_cap(settings: Settings) -> None:
    cap, size = 1 << 20, 50 << 20
    async with scenes.scene(replace(settings, log_cap_bytes=cap)) as scene:
        record = await scene.run("pours_in_child", size=size)
        assert failure(record) == ("completed", None)
        assert record.stdout_size == size + len(b"the first line\nthe last line\n")
        first = await scene.queue.read_logs(record.job_id, since="0.0.0")
        assert first.stdout[0] == "the first line"
        last = await scene.queue.read_logs(record.job_id, tail=2)
        assert last.stdout[-1].endswith("the last line")
        path = Path(scene.queue.registry_path + ".d") / "runs" / str(record.run_id) / "stdout.log"
        await invariants.becomes(
            lambda: path.stat().st_blocks * 512 <= 2 * cap, "a log over its cap"
        )


@pytest.mark.parametrize(
    ("name", "why"), [("has_no_descriptors", "open files"), ("has_no_cat", "no cat")]
)
async def test_row_47_nothing_can_carry_the_output(scene: Scene, name: str, why: str) -> None:
    record = await scene.run(name)
    assert failure(record) == ("completed", None)
    out, err = logs_of(scene, record)
    assert out.startswith(b"before\nfrom a child\n")
    [line] = err.decode().splitlines()
    assert line.startswith("mcp-queue: ")
    assert why in line


async def test_row_47_a_job_without_children_has_no_readers(scene: Scene, lines: Lifelines) -> None:
    job = await scene.submit("gated", port=lines.port, answer="")
    await lines.arrive()
    worker = psutil.Process(await worker_pid(scene.queue, job))
    files = {Path(file.path).name for file in worker.open_files()}
    assert files == {"stdout.log", "stderr.log", "events.jsonl", "result.json"}
    assert not [pid for pid in marks.marked(str(job.run_id)) if is_reader(pid)]
    lines.let_go()
    await scene.done(job)


async def test_row_47_a_log_that_was_emptied_all_the_same(scene: Scene, lines: Lifelines) -> None:
    job = await scene.submit("empties_its_log", port=lines.port)
    await lines.arrive()
    early = await scene.queue.read_logs(job.job_id, since="0.0.0")
    assert early.stdout[-1] == "line 99"
    lines.let_go()
    record = await scene.done(job)
    assert failure(record) == ("completed", None)
    late = await scene.queue.read_logs(job.job_id, since=early.cursor)
    assert late.stdout == ["… the log was emptied, from its beginning: …", "anew"]
    again = await scene.queue.read_logs(job.job_id, since=late.cursor)
    assert again.stdout == []
