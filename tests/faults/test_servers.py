"""Servers that are killed, ended and left by their clients in every way that clients have."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.system.identity import identity_of
from mcp_queue.system.watch import watch
from support import invariants
from support.processes import GUARD
from support.rawclient import RawClient
from support.replay import Replay, read_recording
from support.scenes import call, greet
from support.serving import HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.config import Settings
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]

HOSTS = Path(__file__).parents[1] / "hosts"


def begin(client: RawClient, lines: Lifelines, **arguments: Any) -> str:
    """A job of this client that waits for the test; its id."""
    greet(client)
    job_id = call(client, "gated", port=lines.port, **arguments)["job_id"]
    lines.take()
    return job_id


def view(client: RawClient, job_id: str) -> dict[str, Any]:
    return call(client, "queue_get_job_status", job_id=job_id)


def ended(client: RawClient, job_id: str) -> dict[str, Any]:
    answer = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=GUARD)
    assert not answer["timed_out"]
    return answer["jobs"][0]


def log_of(client: RawClient, job_id: str) -> list[str]:
    return call(client, "queue_get_job_logs", job_id=job_id)["stdout"]


@pytest.mark.parametrize("ends", ["before the next server", "after the next server came"])
async def test_row_15_server_killed(
    server: Setup, witness: Witness, lines: Lifelines, ends: str
) -> None:
    with RawClient(server.command) as first:
        job_id = begin(first, lines, answer="kept")
        witness.told(job_id)
        first.kill()
        assert first.wait() == -signal.SIGKILL
    if ends == "before the next server":
        lines.let_go()
        await invariants.becomes(lambda: not witness.unfinished(), "the job has not ended")
    with RawClient(server.command) as second:
        greet(second)
        if ends != "before the next server":
            assert view(second, job_id)["status"] == "running"
            lines.let_go()
        record = ended(second, job_id)
        assert (record["status"], record["result"]) == ("completed", "kept")
        assert log_of(second, job_id) == ["at the gate", "through the gate"]


@pytest.mark.parametrize("killed", ["server", "server and supervisor", "supervisor and server"])
async def test_row_16_in_memory_killed(
    server: Setup, lines: Lifelines, killed: str, record_property: RecordProperty
) -> None:
    server.settings = {"in_memory": True}
    with RawClient(server.command) as client:
        greet(client)
        call(client, "leaves_marked", port=lines.port)
        lines.take(3)
        health = call(client, "queue_health")
        folder = Path(health["registry_path"]).parent
        supervisor = health["supervisor"]["pid"]
        since = time.monotonic()
        for victim in killed.split(" and "):
            os.kill(client.pid if victim == "server" else supervisor, signal.SIGKILL)
        client.wait()
    if killed == "server":
        await lines.end()
        record_property("seconds until all were gone", round(time.monotonic() - since, 3))
        await invariants.becomes(lambda: not folder.exists(), "the registry's folder")
    with RawClient(server.command) as successor:
        greet(successor)
        assert ended(successor, call(successor, "add", a=2, b=3)["job_id"])["result"] == 5
        await lines.end()
        await invariants.becomes(lambda: not folder.exists(), "the registry's folder")


def sigint_with_stdin_open(client: RawClient) -> None:
    client.send_signal(signal.SIGINT)


def end_of_input_and_sigterm(client: RawClient) -> None:
    client.close_stdin()
    client.send_signal(signal.SIGTERM)


def end_of_input_then_the_group(client: RawClient) -> None:
    """What the SDKs do: each step only while the server is still there."""
    client.close_stdin()
    for number, patience in ((signal.SIGTERM, 2), (signal.SIGKILL, 2)):
        try:
            client.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(client.pid, number)
        else:
            return


def end_of_input_and_sigterm_to_the_group(client: RawClient) -> None:
    client.close_stdin()
    os.killpg(client.pid, signal.SIGTERM)


def five_sigterms(client: RawClient) -> None:
    for _ in range(5):
        client.send_signal(signal.SIGTERM)


WAYS = [
    sigint_with_stdin_open,
    end_of_input_and_sigterm,
    end_of_input_then_the_group,
    end_of_input_and_sigterm_to_the_group,
    five_sigterms,
]


@pytest.mark.parametrize("way", WAYS)
async def test_row_17_client_ends_server(
    server: Setup,
    witness: Witness,
    lines: Lifelines,
    way: Callable[[RawClient], None],
    record_property: RecordProperty,
) -> None:
    with RawClient(["setsid", *server.command]) as client:
        job_id = begin(client, lines)
        witness.told(job_id)
        since = time.monotonic()
        way(client)
        assert client.wait() == 0
        record_property("seconds to leave", round(time.monotonic() - since, 3))
    assert "Traceback" not in client.stderr
    assert lines.living() == 1
    with RawClient(server.command) as successor:
        greet(successor)
        assert call(successor, "queue_health")["servers"] == 1
        assert view(successor, job_id)["status"] == "running"
        lines.let_go()
        assert ended(successor, job_id)["status"] == "completed"


@pytest.mark.parametrize("way", WAYS)
async def test_row_17_client_ends_in_memory_server(
    server: Setup,
    lines: Lifelines,
    way: Callable[[RawClient], None],
    record_property: RecordProperty,
) -> None:
    server.settings = {"in_memory": True, "shutdown_timeout": 0.3}
    with RawClient(["setsid", *server.command]) as client:
        begin(client, lines)
        folder = Path(call(client, "queue_health")["registry_path"]).parent
        since = time.monotonic()
        way(client)
        assert client.wait() == 0
        record_property("seconds to leave", round(time.monotonic() - since, 3))
    assert "Traceback" not in client.stderr
    await lines.end()
    await invariants.becomes(lambda: not folder.exists(), "the registry's folder")


async def test_row_18_client_gone_pipe_open(
    server: Setup, witness: Witness, lines: Lifelines
) -> None:
    """The client dies while another process still holds both of the server's pipes."""
    code = (
        "import subprocess, sys\n"
        "server = subprocess.Popen(sys.argv[1:])\n"
        "print(server.pid, file=sys.stderr, flush=True)\n"
        "server.wait()"
    )
    input_read, input_held = os.pipe()
    output_held, output_written = os.pipe()
    client = subprocess.Popen(
        [sys.executable, "-c", code, *server.command],
        stdin=input_read,
        stdout=output_written,
        stderr=subprocess.PIPE,
    )
    assert client.stderr is not None
    try:
        identity = identity_of(int(client.stderr.readline()))
        assert identity is not None
        with closing(watch(identity)) as left:  # pyright: ignore[reportArgumentType]
            os.write(input_held, b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
            assert b'"id":1' in os.read(output_held, 65536)
            client.kill()
            client.wait()
            assert select.select([left], [], [], GUARD)[0], "the server is still there"
    finally:
        client.kill()
        client.wait()
        client.stderr.close()
        for descriptor in (input_read, input_held, output_held, output_written):
            os.close(descriptor)


async def test_row_18_end_in_the_middle_of_a_message(
    server: Setup, witness: Witness, lines: Lifelines
) -> None:
    with RawClient(server.command) as client:
        witness.told(begin(client, lines))
        client.send_bytes(b'{"jsonrpc":"2.0","id":9,"method":"tools/ca')
        client.close_stdin()
        assert client.wait() == 0
    assert "Traceback" not in client.stderr
    lines.let_go()


async def test_row_18_client_stops_reading(
    server: Setup, witness: Witness, lines: Lifelines
) -> None:
    """Its answers wait for it, the jobs do not; without it the server leaves all the same."""
    server.settings["max_concurrent_jobs"] = 2
    with RawClient(server.command) as other, RawClient(server.command, reading=False) as client:
        greet(other)
        client.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HANDSHAKE})
        client.notify("notifications/initialized")
        params = {"name": "gated", "arguments": {"port": lines.port, "answer": "x" * 10_000}}
        client.send({"jsonrpc": "2.0", "id": "job", "method": "tools/call", "params": params})
        lines.take()
        reads = {"uri": "queue://commands"}
        for number in range(100):
            client.send(
                {"jsonrpc": "2.0", "id": number, "method": "resources/read", "params": reads}
            )
        [job] = call(other, "queue_list_jobs")["jobs"]
        witness.told(job["job_id"])
        lines.let_go()
        assert ended(other, job["job_id"])["status"] == "completed"
        client.start_reading()
        handle = client.answer("job").message["result"]["structuredContent"]
        assert handle["job_id"] == job["job_id"]
        for number in range(100):
            assert "result" in client.answer(number).message


@pytest.mark.parametrize("mode", ["persistent", "in_memory"])
async def test_row_36_two_servers_one_dropped(
    server: Setup, persistent: Settings, lines: Lifelines, mode: str
) -> None:
    if mode == "in_memory":
        server.settings = {"in_memory": True}
    with RawClient(server.command) as dropped, RawClient(server.command) as kept:
        greet(dropped)
        greet(kept)
        folder = Path(call(dropped, "queue_health")["registry_path"] + ".d")
        dropped.close_stdin()
        dropped.send_signal(signal.SIGTERM)
        assert dropped.wait() == 0
        assert "Traceback" not in dropped.stderr
        assert ended(kept, call(kept, "add", a=2, b=3)["job_id"])["result"] == 5
        health = call(kept, "queue_health")
        assert health["servers"] == 1
        if mode == "in_memory":
            await invariants.becomes(lambda: not folder.parent.exists(), "the dropped's folder")
        else:
            bells = folder / "bells"
            await invariants.becomes(lambda: len(list(bells.iterdir())) == 2, "a dropped bell")
    if mode == "persistent":
        await invariants.check(persistent, invariants.Witness(str(persistent.registry_path)))


async def test_row_36_servers_ended_as_they_start(server: Setup, witness: Witness) -> None:
    """SIGTERM and the end of the input in one instant, at every age of a server."""
    for number in range(8):
        with RawClient(server.command) as client:
            if number % 2:
                greet(client)
            else:
                select.select([], [], [], number / 20)  # wherever in its start that may be
            client.close_stdin()
            client.send_signal(signal.SIGTERM)
            status = client.wait()
        assert status in (0, -signal.SIGTERM)  # before it had begun to serve
        assert "Traceback" not in client.stderr


class KilledReplay(Replay):
    """A host whose server is killed where the recording ends it."""

    def restart(self) -> None:
        self._await_answers()
        self.client.kill()
        self.client.wait()
        self.client.close()
        self.client = self._start()
        self._begin()


@pytest.mark.needs("schemas")
@pytest.mark.parametrize("host", [Replay, KilledReplay], ids=["closed", "killed"])
async def test_row_37_claude_code_resumed(
    server: Setup, persistent: Settings, witness: Witness, host: type[Replay]
) -> None:
    server.commands = [str(HOSTS / "commands.py")]
    replay = host(lambda: RawClient(server.command, cwd=server.folder))
    with closing(replay):
        replay.run(read_recording(HOSTS / "recordings" / "claude-code-2.1.331-task-resume.jsonl"))
        witness.told(replay.task_id)
        arguments = {"job_ids": [replay.task_id], "timeout_seconds": 120}
        waited = replay.request("tools/call", {"name": "queue_wait_job", "arguments": arguments})
        assert waited["structuredContent"]["timed_out"] is False
        tasks = [replay.request("tasks/get", {"taskId": replay.task_id}) for _ in range(3)]
        assert tasks[0]["status"] == "completed"
        assert tasks[0]["result"]["structuredContent"]["result"] == "worked for 14 s"
        assert tasks[0]["result"] == tasks[1]["result"] == tasks[2]["result"]
        assert replay.end() == 0
