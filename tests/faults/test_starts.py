"""No supervisor can start: whoever asks is told why, and the jobs run once one can."""

from __future__ import annotations

import os
import signal
import site
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mcp_queue.errors import SupervisorError
from mcp_queue.jobs.folder import RegistryFolder
from support import invariants, scenes
from support.processes import GUARD
from support.queues import supervisor_pid
from support.rawclient import RawClient
from support.scenes import call, greet
from support.serving import ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_queue.config import Settings
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.serving import Setup

SITE = Path(scenes.__file__).with_name("site_no_supervisor")
LOG = "its log is a folder"
WAYS = {
    "exits": "status 1, its last words: ImportError: no such thing",
    "is killed": "was killed by SIGKILL",
    LOG: "Is a directory",
}


@dataclass
class Ban:
    """Keeps supervisors from starting, in the way that `on` names, until `off`."""

    file: Path
    log: Path

    def on(self, how: str) -> None:
        if how == LOG:
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".kept"))
            self.log.mkdir()
        else:
            self.file.write_text(how, "ascii")

    def off(self) -> None:
        if self.log.is_dir():
            self.log.rmdir()
        self.file.unlink(missing_ok=True)


@pytest.fixture
def ban(
    tmp_path: Path, persistent: Settings, monkeypatch: pytest.MonkeyPatch, witness: Witness
) -> Iterator[Ban]:
    path = os.pathsep.join([str(SITE), os.environ["PYTHONPATH"]])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("NO_SUPERVISOR", str(tmp_path / "ban"))
    ban = Ban(tmp_path / "ban", Path(RegistryFolder(witness.path).log))
    yield ban
    ban.off()


def failed(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    """The whole answer of a call that fails because there is no supervisor."""
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})["result"]
    assert answer["isError"], answer
    content = answer["structuredContent"]
    assert content["success"] is False
    assert content["error"]["code"] == "supervisor_failed"
    return content


def runs(client: RawClient, job_id: str) -> Any:
    """The result of a job that runs by itself, though who waits for it was sent away before."""
    deadline = time.monotonic() + GUARD
    while time.monotonic() < deadline:
        arguments = {"job_ids": [job_id], "timeout_seconds": GUARD}
        answer = client.request("tools/call", {"name": "queue_wait_job", "arguments": arguments})
        [job] = answer["result"]["structuredContent"]["jobs"]
        if job["status"] == "completed":
            return job["result"]
        time.sleep(0.05)
    raise AssertionError("the job has not run")


@pytest.mark.parametrize("how", WAYS)
async def test_row_42_at_submit(server: Setup, witness: Witness, ban: Ban, how: str) -> None:
    with RawClient(server.command) as client:
        greet(client)
        ban.on(how)
        handle = failed(client, "add", a=2, b=3)
        witness.told(handle["job_id"])
        assert handle["status"] == "pending"
        assert WAYS[how] in handle["error"]["message"]
        assert "starts by itself" in handle["error"]["hint"]
        waited = failed(client, "queue_wait_job", job_ids=[handle["job_id"]], timeout_seconds=GUARD)
        assert [job["status"] for job in waited["jobs"]] == ["pending"]
        health = call(client, "queue_health")
        assert (health["status"], health["supervisor"]) == ("degraded", {"running": False})
        assert WAYS[how] in health["problem"]
        assert WAYS[how] in client.stderr
        ban.off()
        assert runs(client, handle["job_id"]) == 5
        health = call(client, "queue_health")
        assert (health["status"], health.get("problem")) == ("healthy", None)
        witness.told(call(client, "add", a=2, b=4)["job_id"])


@pytest.mark.parametrize("how", WAYS)
async def test_row_42_while_it_is_waited_for(
    server: Setup, witness: Witness, ban: Ban, lines: Lifelines, how: str
) -> None:
    with RawClient(server.command) as client:
        greet(client)
        job_id = call(client, "gated", port=lines.port, answer=7)["job_id"]
        witness.told(job_id)
        lines.take()
        arguments = {"job_ids": [job_id], "timeout_seconds": 10 * GUARD}
        waiting = client.post("tools/call", {"name": "queue_wait_job", "arguments": arguments})
        supervisor = call(client, "queue_health")["supervisor"]["pid"]
        ban.on(how)
        os.kill(supervisor, signal.SIGKILL)
        answer = client.answer(waiting).message["result"]
        assert answer["isError"]
        assert WAYS[how] in answer["structuredContent"]["error"]["message"]
        assert [job["status"] for job in answer["structuredContent"]["jobs"]] == ["running"]
        ban.off()
        lines.let_go()
        assert runs(client, job_id) == 7


async def test_row_42_a_call_tries_again(server: Setup, witness: Witness, ban: Ban) -> None:
    """Each call that finds none is told how it is then, not how it was."""
    with RawClient(server.command) as client:
        greet(client)
        ban.on("exits")
        first = failed(client, "add", a=1, b=1)["job_id"]
        ban.on("is killed")
        answered = time.monotonic() + GUARD
        while "SIGKILL" not in failed(client, "add", a=1, b=1)["error"]["message"]:
            assert time.monotonic() < answered
        ban.off()
        assert runs(client, first) == 2


async def test_row_42_as_a_task(server: Setup, ban: Ban) -> None:
    with RawClient(server.command) as client:
        ban.on("exits")
        params = {"name": "add", "arguments": {"a": 2, "b": 3}, "_meta": ENVELOPE}
        task = client.request("tools/call", params)["result"]
        assert task["resultType"] == "task"
        assert "no such thing" in task["statusMessage"]
        ask = {"taskId": task["taskId"], "_meta": ENVELOPE}
        polled = client.request("tasks/get", ask)["result"]
        assert polled["status"] == "working"
        assert "no such thing" in polled["statusMessage"]
        ban.off()
        deadline = time.monotonic() + GUARD
        while client.request("tasks/get", ask)["result"]["status"] != "completed":
            assert time.monotonic() < deadline
            await anyio.sleep(0.05)


async def test_row_42_a_job_that_was_added(server: Setup, ban: Ban) -> None:
    """To wait for what is not started needs no supervisor; to start it does."""
    with RawClient(server.command) as client:
        greet(client)
        ban.on("exits")
        failed(client, "add", a=1, b=1)
        params = {"a": 2, "b": 3}
        job_id = call(client, "queue_add_job", command="add", params=params)["job_id"]
        waited = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=0.01)
        assert waited["timed_out"]
        assert failed(client, "queue_start_job", job_id=job_id)["status"] == "pending"
        ban.off()
        assert runs(client, job_id) == 5


async def test_row_42_from_python(persistent: Settings, ban: Ban) -> None:
    async with scenes.scene(persistent) as scene:
        ban.on(LOG)
        job = await scene.submit("add", a=2, b=3)
        with pytest.raises(SupervisorError, match="Is a directory"):
            await scene.done(job)
        assert (await scene.queue.get_queue_health())["status"] == "degraded"
        ban.off()
        await supervisor_pid(scene.queue)
        assert (await scene.done(job)).result == 5


async def test_row_42_none_takes_charge(server: Setup, witness: Witness, ban: Ban) -> None:
    """They hang: no call waits for long, and the next ones are told."""
    with RawClient(server.command) as client:
        greet(client)
        ban.on("hangs")
        job_id = call(client, "add", a=2, b=3)["job_id"]
        arguments = {"job_ids": [job_id], "timeout_seconds": GUARD}
        answer = client.request("tools/call", {"name": "queue_wait_job", "arguments": arguments})
        assert answer["result"]["isError"]
        assert "took charge" in answer["result"]["structuredContent"]["error"]["message"]
        assert call(client, "queue_health")["status"] == "degraded"
        ban.off()
        assert runs(client, job_id) == 5


async def test_row_42_they_die_as_soon_as_they_supervise(
    persistent: Settings, crash: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health says so, as nobody else can; who waits goes on, since jobs may run in between."""
    crash("spawn.before_record", once=False)
    async with scenes.scene(persistent) as scene:
        job = await scene.submit("add", a=2, b=3)

        async def is_degraded() -> bool:
            return (await scene.queue.get_queue_health())["status"] == "degraded"

        with anyio.fail_after(GUARD):
            while not await is_degraded():
                await anyio.sleep(0.01)
        monkeypatch.delenv("MCP_QUEUE_CRASH_POINT")
        assert (await scene.done(job)).result == 5
        with anyio.fail_after(GUARD):
            while await is_degraded():
                await anyio.sleep(0.01)


async def test_row_42_one_that_is_killed_once_is_no_failure(persistent: Settings, ban: Ban) -> None:
    """Its successor comes at once, and nobody is told of anything."""
    async with scenes.scene(persistent) as scene:
        before = 0
        for n in range(3):
            assert (await scene.run("add", a=1, b=n)).result == n + 1
            before = await supervisor_pid(scene.queue, other_than=before)
            os.kill(before, signal.SIGKILL)
        assert await scene.queue.start_problem() is None


@contextmanager
def interpreter(folder: Path) -> Iterator[Path]:
    """An interpreter that can be taken away, as by an upgrade."""
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    yield python


@pytest.mark.skipif(sys.platform == "win32", reason="nobody removes a running program there")
async def test_row_42_the_interpreter_is_gone(
    server: Setup, witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named when a supervisor is to start, and by the job when there is one already."""
    path = os.pathsep.join([os.environ["PYTHONPATH"], *packages()])
    with interpreter(tmp_path) as python:
        command = [str(python), *server.command[1:]]
        with RawClient(command, env={"PYTHONPATH": path}) as client:
            greet(client)
            away = python.rename(python.with_name("away"))
            job_id = failed(client, "add", a=2, b=3)["job_id"]
            assert str(python) in call(client, "queue_health")["problem"]
            away.rename(python)
            assert runs(client, job_id) == 5
            python.unlink()
            job_id = call(client, "add", a=2, b=3)["job_id"]
            [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
            assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
            assert str(python) in job["error"]["message"]
            assert "is gone" in job["error"]["message"]


def packages() -> list[str]:
    """Where everything that is installed lies, for an interpreter that does not know."""
    return [*site.getsitepackages(), str(Path(invariants.__file__).parents[2] / "server")]


FLAGS_FILE = """
import sys
from mcp_queue import command

def said():
    return [sys.flags.isolated, sys.flags.ignore_environment, sys.flags.optimize,
            sys.flags.dev_mode, sys.flags.no_site, sys.flags.bytes_warning, sys.warnoptions,
            sys.flags.no_user_site, sys.flags.dont_write_bytecode]

@command()
def flags_here() -> list:
    return said()

@command(use_queue=True)
def flags_there() -> list:
    return said()
"""

HOME = {"PYTHONHOME": "/tmp/.mount_gone/usr"}  # as an AppImage leaves it
STARTS: dict[str, tuple[list[str], dict[str, str]]] = {
    "isolated": (["-I"], {}),
    "isolated, with a PYTHONHOME that is gone": (["-I"], HOME),
    "without the environment": (["-E"], {}),
    "without the environment, with a PYTHONHOME that is gone": (["-E"], HOME),
    "without site": (["-S"], {}),
    "optimised": (["-O"], {}),
    "without docstrings": (["-OO"], {}),
    "for developers": (["-X", "dev"], {}),
    "warnings are errors": (["-W", "error"], {}),
    "without bytecode, bytes warned of": (["-B", "-b"], {}),
    "PYTHONOPTIMIZE": ([], {"PYTHONOPTIMIZE": "1"}),
    "PYTHONSAFEPATH": ([], {"PYTHONSAFEPATH": "1"}),
    "PYTHONWARNINGS": ([], {"PYTHONWARNINGS": "error"}),
    "PYTHONDEVMODE": ([], {"PYTHONDEVMODE": "1"}),
    "PYTHONHOME": ([], {"PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"}),
    "PYTHONPLATLIBDIR, PYTHONNOUSERSITE": ([], {"PYTHONNOUSERSITE": "1"}),
}


@pytest.mark.parametrize("how", STARTS)
async def test_row_42_flags_reach_supervisor_and_worker(
    server: Setup, witness: Witness, tmp_path: Path, how: str
) -> None:
    """However the server's interpreter was started, its jobs run, and run likewise."""
    flags, env = STARTS[how]
    (tmp_path / "flags.py").write_text(FLAGS_FILE, "utf-8")
    server.commands = [str(tmp_path / "flags.py")]
    python, *arguments = server.command
    path = os.pathsep.join([os.environ["PYTHONPATH"], *packages()])
    with RawClient([python, *flags, *arguments], env={**env, "PYTHONPATH": path}) as client:
        greet(client)
        job_id = call(client, "flags_there")["job_id"]
        witness.told(job_id)
        [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
        assert job["status"] == "completed", job
        assert job["result"] == call(client, "flags_here")["result"]
