"""Measure what is promised against a floor in the same run; exit status 1 if one is missed.

    python tests/benchmarks/run.py [NAME …]

Medians of several runs; times in milliseconds. Run it on a quiet machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support.rawclient import RawClient  # noqa: E402
from support.serving import HANDSHAKE  # noqa: E402

PYTHON = sys.executable
BARE = [PYTHON, str(HERE / "bare_server.py")]
OURS = [PYTHON, "-m", "mcp_queue", "serve", "--commands", str(HERE / "benchmark_commands.py")]
FINISHED = 45  # seconds of a wait
Clients = tuple[RawClient, RawClient]


@dataclass(frozen=True)
class Figure:
    """One measured promise: ours against its bound, which may count in multiples of a floor."""

    name: str
    ours: float
    bound: float
    floor: float | None = None

    @property
    def kept(self) -> bool:
        return self.ours <= self.bound * (1 if self.floor is None else self.floor)

    def __str__(self) -> str:
        if self.floor is None:
            against = f"bound {self.bound:.1f}"
        else:
            against = f"floor {self.floor:.2f}, ratio {self.ours / self.floor:.2f} ≤ {self.bound}"
        return f"{'kept  ' if self.kept else 'MISSED'} {self.name:45} {self.ours:9.2f}  {against}"


@contextmanager
def serving(command: list[str]) -> Iterator[RawClient]:
    with RawClient(command) as client:
        begin(client)
        yield client


def begin(client: RawClient) -> None:
    client.request("initialize", HANDSHAKE)
    client.notify("notifications/initialized")


def call(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    return answer["result"]["structuredContent"]


def wait_for(client: RawClient, job_id: str) -> dict[str, Any]:
    return call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=FINISHED)["jobs"][0]


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def median(work: Callable[[], object], count: int, pause: float = 0.0) -> float:
    return statistics.median(samples(work, count, pause))


def samples(work: Callable[[], object], count: int, pause: float) -> list[float]:
    found: list[float] = []
    for _ in range(count):
        time.sleep(pause)
        found.append(timed(work))
    return found


def first_answer(command: list[str], tool: str | None = None) -> float:
    """From a server's start to its first list of tools, and an answer of ``tool``."""
    with RawClient(command) as client:
        begun = client.started_at
        begin(client)
        client.request("tools/list")
        if tool is not None:
            call(client, tool)
        return (time.monotonic() - begun) * 1000


def start() -> Iterator[Figure]:
    pairs = [(first_answer(BARE), first_answer(OURS)) for _ in range(8)][1:]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    yield Figure("process start → first tools/list", ours, 0.75, bare)


def restart() -> Iterator[Figure]:
    """Start over 5 running and 50 waiting jobs of a killed server, against an empty registry."""
    with tempfile.TemporaryDirectory() as folder:
        empty, full = (
            [*OURS, "--persistent", "--registry-path", str(Path(folder, name)),
             "--max-concurrent-jobs", "5"]
            for name in ("empty.db", "full.db")
        )  # fmt: skip
        with RawClient(full) as client:
            begin(client)
            ids = [call(client, "idles")["job_id"] for _ in range(55)]
            while call(client, "queue_health")["running_jobs"] < 5:
                time.sleep(0.05)
            client.kill()
        pairs = [
            (first_answer(empty, "queue_list_jobs"), first_answer(full, "queue_list_jobs"))
            for _ in range(8)
        ][1:]
        with serving(full) as client:
            for job_id in reversed(ids):  # those that wait first, so that none of them starts
                call(client, "queue_delete_job", job_id=job_id)
            while any(Path(folder, "full.db.d", "runs").iterdir()):
                time.sleep(0.05)
    floor, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    yield Figure("restart over 5 running, 50 waiting jobs", ours, 1.25, floor)


def calls() -> Iterator[Figure]:
    with serving(BARE) as bare, serving(OURS) as ours:
        wait_for(ours, call(ours, "noop")["job_id"])
        floor = median(lambda: call(bare, "noop"), 200, 0.005)
        plain = median(lambda: call(ours, "plain"), 200, 0.005)
        yield Figure("call of a plain command", plain, 1.15, floor)
        floor = median(lambda: call(bare, "noop"), 40, 0.2)
        queued = median(lambda: call(ours, "noop"), 40, 0.2)
        yield Figure("queued call → durable job id", queued, 1.75, floor)
        whole = median(lambda: wait_for(ours, call(ours, "noop")["job_id"]), 30, 0.2)
        yield Figure("queued no-op → result in hand", whole, 12)


def spinning() -> Iterator[Figure]:
    with serving(OURS) as client:
        idle = samples(lambda: call(client, "queue_health"), 200, 0.01)
        ids = [call(client, "spin")["job_id"] for _ in range(10)]
        while call(client, "queue_health")["running_jobs"] < len(ids):
            time.sleep(0.05)
        busy = samples(lambda: call(client, "queue_health"), 200, 0.01)
        figure = Figure("p95 of calls while ten jobs spin", p95(busy), 3, p95(idle))
        stopped = timed(lambda: call(client, "queue_stop_job", job_id=ids[0]))
        for job_id in ids[1:]:
            arguments = {"job_id": job_id}
            client.post("tools/call", {"name": "queue_delete_job", "arguments": arguments})
        yield figure
        yield Figure("stop of `while True: pass`, among ten", stopped, 3100)


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def deaths() -> Iterator[Figure]:
    with serving(OURS) as client:

        def once() -> float:
            view = wait_for(client, call(client, "exits")["job_id"])
            seen = time.time()
            assert view["error"]["code"] == "exit"
            return (seen - float(view["description"]) - 0.05) * 1000

        once()
        yield Figure(
            "worker os._exit(3) → failed", statistics.median(once() for _ in range(9)), 100
        )


def progress() -> Iterator[Figure]:
    with serving(OURS) as client:
        job_id = call(client, "reports", count=40)["job_id"]
        arguments = {"job_ids": [job_id], "timeout_seconds": FINISHED}
        meta = {"progressToken": 1}
        wait = {"name": "queue_wait_job", "arguments": arguments, "_meta": meta}
        answer = client.post("tools/call", wait)
        latencies: list[float] = []
        offset = time.time() - time.monotonic()
        client.answer(answer)
        for received in client.received:
            if received.method == "notifications/progress":
                words = received.message["params"]["message"].split(" · ")
                if len(words) == 2 and words[1].replace(".", "").isdigit():
                    latencies.append((received.at + offset - float(words[1])) * 1000)
        yield Figure("set_progress → notification", statistics.median(latencies), 10)


def workers() -> Iterator[Figure]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    floor = median(lambda: subprocess.run([PYTHON, "-c", "pass"], env=environment, check=True), 20)
    code = (
        "import mcp_queue.worker.main, mcp_queue.worker.execute, mcp_queue.commands.loading, json"
    )
    ours = median(lambda: subprocess.run([PYTHON, "-c", code], env=environment, check=True), 20)
    yield Figure("a worker's own start", ours, 3, floor)


def many_jobs() -> Iterator[Figure]:
    """Status, list and health with 100,000 jobs in the registry against 100."""
    from mcp_queue.jobs import job_rows, steady
    from mcp_queue.jobs.job_rows import NewJob
    from mcp_queue.jobs.registry import Registry

    figures: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (100, 100_000):
            path = str(Path(folder, f"{count}.db"))
            registry = Registry(path)
            with registry.transaction():
                insert = "INSERT INTO jobs (job_id, command, job_type, status, rev, created_at,"
                insert += " updated_at, finished_at, kept_since, params, call) VALUES (?, 'noop',"
                insert += " 'noop', 'completed', ?, 1, 1, 1, ?, '{}', '{}')"
                now = steady.now(registry)
                for number in range(count):
                    registry.execute(insert, (f"job-{number}", number, now))
            job_rows.add(registry, NewJob("last", "noop", "noop", "{}", "{}", "{}", None, False))
            registry.close()
            command = [*OURS, "--persistent", "--registry-path", path]
            with serving(command) as client:
                works: list[Callable[[], object]] = [
                    lambda client=client: call(client, "queue_get_job_status", job_id="job-50"),
                    lambda client=client: call(client, "queue_list_jobs", limit=50),
                    lambda client=client: call(client, "queue_health"),
                ]
                figures.append([median(work, 100, 0.002) for work in works])
    for name, few, many in zip(("status", "list", "health"), *figures, strict=True):
        yield Figure(f"{name} at 100,000 jobs", many, 1.5, few)


BENCHMARKS = {
    work.__name__: work
    for work in (start, restart, calls, deaths, progress, workers, many_jobs, spinning)
}


def main() -> int:
    names = sys.argv[1:] or list(BENCHMARKS)
    missed = 0
    for name in names:
        for figure in BENCHMARKS[name]():
            missed += not figure.kept
            print(figure, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
