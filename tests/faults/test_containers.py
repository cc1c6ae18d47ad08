"""One registry, several pid namespaces: as containers have it that share a volume."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mcp_queue.jobs import job_rows
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.system.locks import is_held
from support import harm, invariants
from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.invariants import Witness
    from support.processes import Lifelines
    from support.serving import Setup

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
INIT = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
for descriptor in range(3):
    os.close(descriptor)
process.wait()
open(sys.argv[1]).close()
"""
"""The first process of a container that outlives its server, until somebody opens a fifo."""


ENDS = ("returns", "is killed", "container is killed")


@cache
def can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(autouse=True)
def namespaces() -> None:
    if not can_unshare():
        pytest.skip("no pid namespace can be made here (unshare --pid --mount-proc)")


@dataclass
class Container:
    """A server in a pid namespace of its own, which ends with it, or with `end`."""

    client: RawClient
    fifo: Path | None = None

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return call(self.client, tool, **arguments)

    def job(self, tool: str, **arguments: Any) -> str:
        return self.call(tool, **arguments)["job_id"]

    def ended(self, job_id: str) -> dict[str, Any]:
        [job] = self.call("queue_wait_job", job_ids=[job_id])["jobs"]
        assert job["status"] not in ("pending", "running"), job
        return job

    def leave(self) -> None:
        """The server leaves in order; the container stays if it has a first process of its own."""
        self.client.close_stdin()

    def kill(self) -> None:
        """All of it at once, as `docker kill` does."""
        self.client.kill()
        self.client.wait()

    def end(self) -> None:
        """Let the first process end, and the kernel all others."""
        assert self.fifo is not None
        os.close(os.open(self.fifo, os.O_WRONLY))
        self.client.wait()


@contextmanager
def container(server: Setup, *, init: bool = False) -> Iterator[Container]:
    command = [*UNSHARE, *server.command]
    fifo = None
    if init:
        fifo = server.folder / "init"
        os.mkfifo(fifo)
        command = [*UNSHARE, sys.executable, "-c", INIT, str(fifo), *server.command]
    with RawClient(command) as client:
        greet(client)
        yield Container(client, fifo)
        if fifo is not None and client._process.poll() is None:
            client.close_stdin()
            os.close(os.open(fifo, os.O_WRONLY))


@contextmanager
def host(server: Setup) -> Iterator[Container]:
    """The same outside of any container."""
    with RawClient(server.command) as client:
        greet(client)
        yield Container(client)


def worker_of(path: str, job_id: str) -> psutil.Process:
    """The worker of a running job, by its pid here, which is not the one that is recorded."""
    registry = Registry(path)
    run_id = job_rows.get(registry, job_id).run_id
    registry.close()
    assert run_id is not None
    folder = RegistryFolder(path).run(run_id).path
    [worker] = [worker for worker in invariants.workers() if folder in worker.cmdline()]
    return worker


def is_supervised(path: str) -> bool:
    return is_held(RegistryFolder(path).lock)


@pytest.mark.parametrize("how", ["leave", "kill"])
async def test_row_43_one_after_the_other(server: Setup, witness: Witness, how: str) -> None:
    for n in range(3):
        with container(server) as one:
            job_id = one.job("add", a=1, b=n)
            witness.told(job_id)
            assert one.ended(job_id)["result"] == n + 1
            health = one.call("queue_health")
            assert (health["status"], health["servers"]) == ("healthy", 1)
            getattr(one, how)()
    with host(server) as last:
        job_id = last.job("add", a=1, b=9)
        witness.told(job_id)
        assert last.ended(job_id)["result"] == 10
        assert last.call("queue_health")["servers"] == 1


@pytest.mark.parametrize("how", ["leave", "kill"])
async def test_row_43_what_ran_and_what_waited(
    server: Setup, witness: Witness, lines: Lifelines, tmp_path: Path, how: str
) -> None:
    """Its container gone, a job has failed or is run again by its rule; who waited runs."""
    server.settings |= {"max_concurrent_jobs": 2, "retry_backoff_seconds": 0}
    notes = tmp_path / "notes"
    with container(server) as one:
        lost = one.job("gated", port=lines.port)
        again = one.job("tries_twice", port=lines.port)
        waits = one.job("note", path=str(notes), line="ran")
        lines.take(2)
        getattr(one, how)()
    for job_id in (lost, again, waits):
        witness.told(job_id)
    await lines.end()
    with container(server) as other:
        job = other.ended(lost)
        assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
        assert "exit_code" not in job
        lines.take()
        lines.let_go()
        assert other.ended(again)["result"] == 2
        assert other.ended(waits)["status"] == "completed"
    assert notes.read_text() == "ran\n"


async def test_row_43_at_once(server: Setup, witness: Witness, lines: Lifelines) -> None:
    """Two containers and the host: one supervisor serves all, and each sees every job."""
    with container(server) as one, container(server) as other, host(server) as third:
        first = one.job("gated", port=lines.port, answer=7)
        witness.told(first)
        lines.take()
        healths = [each.call("queue_health") for each in (one, other, third)]
        assert [health["servers"] for health in healths] == [3, 3, 3]
        assert all(health["supervisor"] == healths[0]["supervisor"] for health in healths)
        assert len(harm.supervisors_of(witness.path)) == 1
        arguments = {"job_ids": [first]}
        waiting = other.client.post(
            "tools/call", {"name": "queue_wait_job", "arguments": arguments}
        )
        for n, each in enumerate((one, other, third)):
            job_id = each.job("add", a=1, b=n)
            witness.told(job_id)
            assert third.ended(job_id)["result"] == n + 1
        lines.let_go()
        [job] = other.client.answer(waiting).message["result"]["structuredContent"]["jobs"]
        assert job["result"] == 7


@pytest.mark.parametrize("how", ["leave", "kill"])
async def test_row_43_one_of_two_goes(
    server: Setup, witness: Witness, lines: Lifelines, how: str
) -> None:
    """The one with the supervisor: who stays sees it gone, starts the next and waits for no one."""
    with container(server) as goes:
        lost = goes.job("gated", port=lines.port)
        lines.take()
        witness.told(lost)
        with container(server) as stays:
            name = {"name": "queue_wait_job", "arguments": {"job_ids": [lost]}}
            waiting = stays.client.post("tools/call", name)
            getattr(goes, how)()
            [job] = stays.client.answer(waiting).message["result"]["structuredContent"]["jobs"]
            assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
            await lines.end()
            job_id = stays.job("add", a=2, b=3)
            witness.told(job_id)
            assert stays.ended(job_id)["result"] == 5
            await invariants.becomes(
                lambda: stays.call("queue_health")["servers"] == 1, "a server that is gone"
            )


async def test_row_43_the_supervisor_leaves_though_a_container_was_killed(
    server: Setup, witness: Witness
) -> None:
    """A server elsewhere that died without a word keeps nobody here."""
    server.settings["supervisor_linger_seconds"] = 0.1
    with host(server) as one:
        witness.told(one.job("add", a=1, b=1))
        with container(server) as other:
            witness.told(job_id := other.job("add", a=1, b=2))
            assert other.ended(job_id)["result"] == 3
            other.kill()
        assert is_supervised(witness.path)
    await invariants.becomes(lambda: not is_supervised(witness.path), "the supervisor")


@pytest.mark.parametrize(
    ("where", "end"),
    [
        *((where, end) for where in ("host", "container") for end in ENDS),
        ("host", "is stopped"),  # what is in another container is asked, and cannot be killed
    ],
)
async def test_row_43_a_run_elsewhere_is_adopted(
    server: Setup, witness: Witness, lines: Lifelines, where: str, end: str
) -> None:
    """Its supervisor dead, the next one is of another namespace: the job goes on and ends once."""
    with container(server, init=True) as one:
        job_id = one.job("gated", port=lines.port, answer=7)
        witness.told(job_id)
        lines.take()
        with host(server) if where == "host" else container(server) as other:
            one.leave()
            await invariants.becomes(
                lambda: other.call("queue_health")["servers"] == 1, "the server that has left"
            )
            [supervisor] = harm.supervisors_of(witness.path)
            supervisor.kill()
            job_after = other.job("add", a=2, b=3)
            witness.told(job_after)
            assert other.ended(job_after)["result"] == 5
            job = other.call("queue_get_job_status", job_id=job_id)
            assert (job["status"], job["attempt"]) == ("running", 1)
            assert lines.living() == 1
            wanted: tuple[str, Any] = ("failed", "interrupted")
            if end == "returns":
                lines.let_go()
                wanted = ("completed", None)
            elif end == "is killed":
                worker_of(witness.path, job_id).kill()
            elif end == "container is killed":
                one.end()
            else:
                assert other.call("queue_stop_job", job_id=job_id)["status"] == "stopped"
                wanted = ("stopped", None)
            job = other.ended(job_id)
            assert (job["status"], job.get("error", {}).get("code")) == wanted
            assert job.get("result") == (7 if end == "returns" else None)
            if end != "returns":
                await lines.end()


async def test_row_43_killed_amid_many_jobs(
    server: Setup, witness: Witness, tmp_path: Path
) -> None:
    """Every job of three containers reaches its end, and none runs twice."""
    notes = {n: str(tmp_path / f"note-{n}") for n in range(60)}
    with host(server) as last:
        with container(server) as one, container(server) as other:
            ids: dict[int, str] = {}
            for n, path in notes.items():
                each = (one, other, last)[n % 3]
                ids[n] = each.job("note", path=path, line=str(n))
                witness.told(ids[n])
            one.kill()
            other.kill()
        arguments = {"job_ids": list(ids.values()), "timeout_seconds": 60}
        jobs = last.call("queue_wait_job", **arguments)["jobs"]
        for n, job in enumerate(jobs):
            assert job["status"] in ("completed", "failed"), job
            ran = Path(notes[n]).read_text() if Path(notes[n]).exists() else ""
            if job["status"] == "completed":
                assert ran == f"{n}\n"
            else:
                assert job["error"]["code"] == "interrupted"
                assert ran in ("", f"{n}\n")


async def test_row_43_another_mount_point(
    server: Setup, witness: Witness, lines: Lifelines, tmp_path: Path
) -> None:
    """Each container may have the volume under another path."""
    real = Path(witness.path)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    mount = 'mount --bind "$0" "$1" && shift && exec "$@"'
    with host(server) as one:
        first = one.job("gated", port=lines.port, answer=1)
        lines.take()
        server.settings["registry_path"] = str(mounted / real.name)
        command = [*UNSHARE, "sh", "-c", mount, str(real.parent), str(mounted), *server.command]
        with RawClient(command) as client:
            greet(client)
            other = Container(client)
            health = other.call("queue_health")
            assert (health["registry_path"], health["servers"]) == (str(mounted / real.name), 2)
            assert health["supervisor"]["running"]
            second = other.job("add", a=2, b=3)
            assert other.ended(second)["result"] == 5
            name = {"name": "queue_wait_job", "arguments": {"job_ids": [first]}}
            waiting = other.client.post("tools/call", name)
            lines.let_go()
            [job] = other.client.answer(waiting).message["result"]["structuredContent"]["jobs"]
            assert job["result"] == 1
    witness.told(first)
    witness.told(second)
