"""What a client's calls take while another one floods the same registry.

    python -m tests.benchmarks.hostile [ATTACK …]

Two servers on one registry, each with its client. The honest client makes calls of all kinds, alone
and beside a flood, in turns; the 95th percentile beside the flood is at most `BOUND` times the one
alone. Prints a line for each attack; exit status 1 if one is over. On a quiet machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.rawclient import RawClient
from support.serving import ENVELOPE, HANDSHAKE

BOUND = 3  # times the percentile alone
ROUNDS = 3  # of a turn alone and a turn beside the flood
TURN = 40  # calls of each kind in a turn
PAUSE = 0.005  # seconds between two calls
AHEAD = 64  # requests that a flood has open
COMMANDS = str(Path(__file__).with_name("benchmark_commands.py"))
LARGE = "x" * 4_000_000
TOO_LARGE = "x" * (40 << 20)

Request = tuple[str, dict[str, Any]]


def tool_call(name: str, **arguments: Any) -> Request:
    """A call."""
    return "tools/call", {"name": name, "arguments": arguments}


def submits() -> Iterator[Request]:
    """Jobs without end; most are added and wait."""
    for number in count():
        yield tool_call("noop") if number % 50 == 0 else tool_call("queue_add_job", command="noop")


def waits() -> Iterator[Request]:
    """Waits for a job that is not started, and for as many unknown ones as a call takes."""
    yield tool_call("queue_add_job", command="noop", job_id="hostile")
    while True:
        ids = ["hostile", *(f"unknown-{number}" for number in range(999))]
        yield tool_call("queue_wait_job", job_ids=ids, timeout_seconds=0.01)


def subscriptions() -> Iterator[Request]:
    """Subscriptions to all that changes, and changes."""
    for number in count():
        job_id = f"hostile-{number}"
        yield tool_call("queue_add_job", command="noop", job_id=job_id)
        yield "resources/subscribe", {"uri": f"queue://jobs/{job_id}"}
        yield "resources/subscribe", {"uri": f"queue://jobs/{job_id}/logs"}


def completions() -> Iterator[Request]:
    """Completions of all ids."""
    for number in range(200):
        yield tool_call("queue_add_job", command="noop", job_id=f"hostile-{number}")
    reference = {"type": "ref/prompt", "name": "diagnose_job"}
    while True:
        for value in ("", "h", "hostile-1", "x" * 8192):
            argument = {"name": "job_id", "value": value}
            yield "completion/complete", {"ref": reference, "argument": argument}


def large_arguments() -> Iterator[Request]:
    """Arguments of some megabytes, to be kept and to be refused."""
    for number in count():
        if number % 20 == 0:
            yield tool_call("takes", text=TOO_LARGE)
        yield tool_call("queue_add_job", command="noop", params={"text": LARGE})
        yield tool_call("queue_add_job", command="takes", params={"text": LARGE})
        yield tool_call("queue_add_job", command=LARGE)


def looks() -> Iterator[Request]:
    """Lists, status and resources, as fast as they come."""
    yield tool_call("queue_add_job", command="noop", job_id="hostile")
    while True:
        yield tool_call("queue_list_jobs", limit=200)
        yield tool_call("queue_get_job_status", job_id="hostile")
        yield tool_call("queue_health")
        yield "resources/read", {"uri": "queue://jobs"}
        yield "tasks/get", {"taskId": "hostile", "_meta": ENVELOPE}


ATTACKS: dict[str, Callable[[], Iterator[Request]]] = {
    attack.__name__: attack
    for attack in (submits, waits, subscriptions, completions, large_arguments, looks)
}


def command_of(registry: str) -> list[str]:
    """The command line of a server on the registry."""
    serve = [sys.executable, "-m", "mcp_queue", "serve", "--commands", COMMANDS]
    return [*serve, "--config", str(Path(registry).with_name("config.json"))]


def begin(client: RawClient) -> None:
    """Say hello."""
    client.request("initialize", HANDSHAKE)
    client.notify("notifications/initialized")


def call(client: RawClient, name: str, **arguments: Any) -> dict[str, Any]:
    """The answer of a tool, whatever it is."""
    return client.request(*tool_call(name, **arguments))["result"]["structuredContent"]


class Flood:
    """A client that floods a server of its own with one kind of requests, in this process.

    It reads all answers at once, so nothing but the server holds it up.
    """

    def __init__(self, attack: str, registry: str) -> None:
        self._server = subprocess.Popen(
            command_of(registry),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._room = threading.Semaphore(AHEAD)
        self._requests = ATTACKS[attack]()
        self._ids = count(1)
        threading.Thread(target=self._read, daemon=True).start()
        self._send("initialize", HANDSHAKE)

    def some(self) -> None:
        """Send a few more requests."""
        for _ in range(AHEAD // 4):
            self._send(*next(self._requests))

    def rest(self) -> None:
        """Wait for all answers."""
        for _ in range(AHEAD):
            self._room.acquire()
        self._room.release(AHEAD)

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def _send(self, method: str, params: dict[str, Any]) -> None:
        self._room.acquire()
        assert self._server.stdin is not None
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        self._server.stdin.write(json.dumps(message).encode() + b"\n")
        self._server.stdin.flush()

    def _read(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            if b'"method":' not in line[:200]:
                self._room.release()


def obey(attack: str, registry: str) -> None:
    """Flood from each line ``go`` to the next one on standard input, until that ends."""
    flood = Flood(attack, registry)
    going = threading.Event()
    over = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                going.set()
            else:
                going.clear()
        over.set()
        going.set()

    threading.Thread(target=listen, daemon=True).start()
    while not over.is_set():
        if not going.is_set():
            flood.rest()
            print("rests", flush=True)
            going.wait()
            continue
        flood.some()
    flood.close()


class Hostile:
    """A flood in a process of its own."""

    def __init__(self, attack: str, registry: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.hostile", "--flood", attack, registry],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._rested()

    @contextmanager
    def floods(self) -> Iterator[None]:
        """It does, within the block."""
        self._say("go")
        time.sleep(0.5)
        yield
        self._say("stop")
        self._rested()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def _rested(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline()


class Turn(NamedTuple):
    """What the honest client's calls took, in milliseconds, by what they are."""

    times: dict[str, list[float]]

    def all(self) -> list[float]:
        return [time for times in self.times.values() for time in times]


def turn(client: RawClient, calls: int = TURN) -> Turn:
    """Some calls of each kind. All of them must be answered with what was asked for."""
    found: dict[str, list[float]] = {}

    def timed(name: str, tool: str, **arguments: Any) -> dict[str, Any]:
        return noted(name, *tool_call(tool, **arguments))["structuredContent"]

    def noted(name: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
        time.sleep(PAUSE)
        begun = time.perf_counter()
        answer = client.request(method, params)
        found.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
        assert not answer["result"].get("isError"), answer
        return answer["result"]

    for _ in range(calls):
        job_id = timed("submit", "noop")["job_id"]
        assert timed("status", "queue_get_job_status", job_id=job_id)["job_id"] == job_id
        assert timed("list", "queue_list_jobs", limit=20)["jobs"]
        timed("health", "queue_health")
        assert noted("read", "resources/read", {"uri": f"queue://jobs/{job_id}"})["contents"]
        timed("plain", "plain")
    return Turn(found)


def settled(client: RawClient) -> None:
    """Wait until nothing runs or waits for a slot."""
    while call(client, "queue_health")["running_jobs"]:
        time.sleep(0.05)


def measured(attack: str, rounds: int = ROUNDS, calls: int = TURN) -> tuple[list[Turn], list[Turn]]:
    """The turns alone, and those beside the flood."""
    with tempfile.TemporaryDirectory() as folder:
        registry = str(Path(folder, "registry.db"))
        settings = {
            "in_memory": False,
            "registry_path": registry,
            "supervisor_linger_seconds": 0,
        }
        config = {"queue_manager": settings}
        Path(folder, "config.json").write_text(json.dumps(config), encoding="utf-8")
        alone: list[Turn] = []
        beside: list[Turn] = []
        with RawClient(command_of(registry)) as client:
            begin(client)
            turn(client, 2)  # warms up
            hostile = Hostile(attack, registry)
            for _ in range(rounds):
                settled(client)
                alone.append(turn(client, calls))
                with hostile.floods():
                    beside.append(turn(client, calls))
            hostile.close()
            settled(client)
            supervisor = psutil.Process(call(client, "queue_health")["supervisor"]["pid"])
        supervisor.wait()
    return alone, beside


def p95(turns: list[Turn], kind: str | None = None) -> float:
    """Of all calls, or of one kind."""
    times = [t for turn in turns for t in (turn.all() if kind is None else turn.times[kind])]
    return statistics.quantiles(times, n=20)[-1]


def main() -> int:
    """Print a line for each attack."""
    if sys.argv[1:2] == ["--flood"]:
        obey(*sys.argv[2:])
        return 0
    missed = 0
    for attack in sys.argv[1:] or ATTACKS:
        alone, beside = measured(attack)
        ratio = p95(beside) / p95(alone)
        missed += ratio > BOUND
        kinds = ", ".join(
            f"{kind} {p95(alone, kind):.1f} → {p95(beside, kind):.1f}" for kind in alone[0].times
        )
        verdict = "kept  " if ratio <= BOUND else "MISSED"
        figures = f"{p95(alone):7.1f} → {p95(beside):7.1f} ms, ratio {ratio:.2f} ≤ {BOUND}"
        print(f"{verdict} {attack:16}{figures}  ({kinds})", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
