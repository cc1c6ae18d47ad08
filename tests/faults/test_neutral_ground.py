"""Inside a job Python behaves as in a script started from a shell, whatever the host is like."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from support import invariants
from support.guards import GUARD
from support.neutral_commands import TAKERS
from support.queues import supervisor_pid
from support.rawclient import RawClient
from support.scenes import call, failure, greet

if TYPE_CHECKING:
    from support.fixtures import Killed
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.scenes import Scene
    from support.serving import Setup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")

HOST = """
import os, signal, sys
how, names, *command = sys.argv[1:]
numbers = [getattr(signal, name) for name in names.split(",")]
if how == "blocked":
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
else:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
os.execv(command[0], command)
"""


def _ended(client: RawClient, tool: str, **arguments: object) -> dict[str, object]:
    job_id = call(client, tool, **arguments)["job_id"]
    [job] = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=30)["jobs"]
    return job


@pytest.mark.parametrize("how", ["ignored", "blocked"])
@pytest.mark.parametrize("names", ["SIGCHLD", "SIGTERM", "SIGINT,SIGPIPE", "SIGHUP,SIGUSR1"])
async def test_row_44_signals_of_the_host(
    server: Setup, witness: Witness, lines: Lifelines, how: str, names: str
) -> None:
    server.commands.append("support.neutral_commands")
    with RawClient([sys.executable, "-c", HOST, how, names, *server.command]) as client:
        greet(client)
        job = _ended(client, "exits_with", code=7)
        assert (job["error"]["code"], job["exit_code"]) == ("exit", 7)  # pyright: ignore[reportIndexIssue]
        assert _ended(client, "dies_of", number=9)["signal"] == "SIGKILL"
        assert _ended(client, "child_exits_with", code=5)["result"] == 5
        assert call(client, "plain_child_exits_with", code=6)["result"] == 6
        assert _ended(client, "signals_of_a_child")["result"] == ["13", "25"]  # Python's own
        job_id = call(client, "stops_when_asked", port=lines.port)["job_id"]
        await lines.arrive()
        lines.let_go()
        assert call(client, "queue_stop_job", job_id=job_id)["result"] == "saw the stop"
        client.send_signal(signal.SIGTERM)
        assert client.wait() == 0


@pytest.mark.supervisor_killed
@pytest.mark.parametrize(
    "name",
    [
        "stops_when_asked",
        "stops_with_own_handler",
        "stops_with_signal_blocked",
        "stops_in_a_fork",
        "stops_in_a_spawned_child",
    ],
)
async def test_row_44_a_stop_is_seen(patient: Scene, lines: Lifelines, name: str) -> None:
    job = await patient.submit(name, port=lines.port)
    await lines.arrive()
    await supervisor_pid(patient.queue)
    lines.let_go()
    record = await patient.queue.stop_job(job.job_id)
    assert (record.status, record.result) == ("stopped", "saw the stop")
    assert "cleaned up" in (await patient.logs(job))["stdout"]


@pytest.mark.parametrize("how", ["os.fork", "fork", "spawn", "forkserver"])
async def test_row_45_children_report(scene: Scene, lines: Lifelines, how: str) -> None:
    job = await scene.submit("children_report", how=how, port=lines.port)
    await lines.arrive()
    record = await scene.until(job, lambda record: record.progress == 40)
    assert record.description.startswith("reported by ")
    lines.let_go()
    assert (await scene.done(job)).status == "completed"


async def test_row_45_a_child_that_asks_is_told(scene: Scene) -> None:
    record = await scene.run("asks_in_a_fork")
    assert record.result.startswith("NobodyToAskError: ")
    assert "child process" in record.result


async def test_row_45_orphans_by_the_hundred(scene: Scene) -> None:
    record = await scene.run("leaves_orphans", count=200)
    assert record.result == [[], None]


@pytest.mark.parametrize("ends", ["returns", "stopped", "killed"])
async def test_row_45_shared_memory_is_freed(scene: Scene, lines: Lifelines, ends: str) -> None:
    job = await scene.submit("shares_memory", port=lines.port)
    await lines.arrive()
    with anyio.fail_after(GUARD):  # a reader carries it there, since the job has a child
        while not (printed := (await scene.logs(job))["stdout"]):
            await anyio.sleep(0.01)
    [name] = printed
    assert Path("/dev/shm", name).exists()
    if ends == "returns":
        lines.let_go()
        await scene.done(job)
    elif ends == "stopped":
        await scene.queue.stop_job(job.job_id)
    else:
        await scene.queue.delete_job(job.job_id)
    await invariants.becomes(lambda: not Path("/dev/shm", name).exists(), "shared memory")


@pytest.mark.supervisor_killed
@pytest.mark.parametrize("size", [4, 40_000])
@pytest.mark.parametrize("what", TAKERS)
async def test_row_46_the_result_is_kept(
    scene: Scene, killed: Killed, what: str, size: int, tmp_path: Path
) -> None:
    if os.getuid() and what in ("rights", "root folder"):
        pytest.skip("takes root")
    folder = tmp_path / "working folder"
    folder.mkdir()
    record = await scene.run("takes_away", what=what, size=size, folder=str(folder))
    assert failure(record) == ("completed", None)
    assert await scene.queue.result_of(record.job_id) == "x" * size
    assert all(not file.read_text() for file in folder.iterdir())


@pytest.mark.parametrize("how", ["tee", "nothing", "closed"])
async def test_row_46_standard_streams_replaced(scene: Scene, how: str) -> None:
    record = await scene.run("replaces_streams", how=how)
    assert (record.status, record.result) == ("completed", "kept")


@pytest.mark.parametrize(("how", "status"), [("exits", 5), ("raises", 1), ("returns", 0)])
async def test_row_45_a_fork_that_comes_back(scene: Scene, how: str, status: int) -> None:
    record = await scene.run("forks_and_ends", how=how)
    assert (record.status, record.result) == ("completed", status)
    errors = "\n".join((await scene.logs(record))["stderr"])
    assert ("in the child" in errors) == (how == "raises")
    assert "SystemExit" not in errors
