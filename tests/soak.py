"""A day of mixed work in two minutes: ``python -m tests.soak`` (from the repository's root).

Real servers on one registry are asked at random to submit, stop and delete jobs that return, raise,
crash, spin and start children; servers and supervisors are killed and ended and started again. At
the end everything must be accounted for; the exit status says whether it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))

import psutil  # noqa: E402

import support.fault_commands  # noqa: E402
import support.job_commands  # noqa: E402, F401
from mcp_queue.config import Settings  # noqa: E402
from mcp_queue.jobs import member_rows, states  # noqa: E402
from mcp_queue.jobs.registry import Registry  # noqa: E402
from mcp_queue.manager import QueueManager  # noqa: E402
from mcp_queue.system.identity import DEAD, pid_of, state_of  # noqa: E402
from support import invariants, leaks, queues  # noqa: E402
from support.invariants import Witness  # noqa: E402
from support.processes import GUARD  # noqa: E402
from support.rawclient import RawClient  # noqa: E402
from support.scenes import greet  # noqa: E402
from support.serving import Setup  # noqa: E402

SERVERS = 2
GRACE = 0.2  # seconds
AT_ONCE = 20  # jobs that have not ended, about
WARM_UP = 60.0  # seconds, at most half of all, after which nothing may grow
GROWTH = {"descriptors": 8, "threads": 4, "MiB": 32}  # that is no leak

JOBS: list[tuple[str, dict[str, Any]]] = [
    ("add", {"a": 2, "b": 3}),
    ("add_async", {"a": 2, "b": 3}),
    ("nothing", {}),
    ("noisy", {}),
    ("raises", {"what": "error"}),
    ("returns", {"what": "large"}),
    ("returns", {"what": "nan"}),
    ("dies", {"how": "3"}),
    ("dies", {"how": "SIGKILL"}),
    ("dies", {"how": "segfault"}),
    ("says_and_dies", {"how": "kill"}),
    ("turns", {"seconds": 0.5, "child": False}),
    ("turns", {"seconds": 30, "child": True}),
]


@dataclass
class Tally:
    """What was done, and what is wrong."""

    seconds: float = 0.0
    jobs: int = 0
    stops: int = 0
    deletes: int = 0
    servers_killed: int = 0
    servers_ended: int = 0
    supervisors_killed: int = 0
    ends: dict[str, int] = field(default_factory=dict[str, int])
    jobs_lost: int = 0
    double_ends: int = 0
    without_end: int = 0
    orphans: int = 0
    growth: dict[str, Any] = field(default_factory=dict[str, Any])
    wrong: list[str] = field(default_factory=list[str])


class Soak:
    """Servers on one registry, and a random client of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.before = leaks.marked_processes()
        self.settings = Settings(
            in_memory=False,
            registry_path=str(folder / "data" / "registry.db"),
            stop_grace_seconds=GRACE,
            max_concurrent_jobs=4,
        )
        section = {
            "in_memory": False,
            "registry_path": self.settings.registry_path,
            "stop_grace_seconds": GRACE,
            "max_concurrent_jobs": 4,
        }
        self.setup = Setup(folder, section, ["support.job_commands", "support.fault_commands"])
        self.witness = Witness(str(self.settings.registry_path))
        self.registry = Registry(self.witness.path)
        self.clients = [self._start() for _ in range(SERVERS)]
        self.open: list[str] = []
        self.tally = Tally()

    def _start(self) -> RawClient:
        client = RawClient(self.setup.command)
        greet(client)
        return client

    def step(self) -> None:
        """One random deed; submitting more often than the others."""
        deeds = [self.submit] * 12 + [self.stop] * 5 + [self.delete] * 3
        deeds += [self.kill_supervisor, self.kill_server, self.end_server]
        self.random.choice(deeds)()

    def submit(self) -> None:
        if len(self.open) >= AT_ONCE:
            self.forget_ended()
            if len(self.open) >= AT_ONCE:
                self.stop()
                return
        name, arguments = self.random.choice(JOBS)
        handle = self._call(name, arguments)
        self.witness.told(handle["job_id"])
        self.open.append(handle["job_id"])
        self.tally.jobs += 1

    def stop(self) -> None:
        if self.open and self._may_fail("queue_stop_job", self.random.choice(self.open)):
            self.tally.stops += 1

    def delete(self) -> None:
        if self.open and self._may_fail("queue_delete_job", self.random.choice(self.open)):
            self.tally.deletes += 1

    def kill_supervisor(self) -> None:
        supervisor = member_rows.supervisor(self.registry)
        if supervisor is not None and state_of(supervisor.identity) != DEAD:
            os.kill(pid_of(supervisor.identity), signal.SIGKILL)
            self.tally.supervisors_killed += 1

    def kill_server(self) -> None:
        client = self.clients.pop(1)  # the first one stays, to see whether it grows
        client.kill()
        client.close()
        self.clients.append(self._start())
        self.tally.servers_killed += 1

    def end_server(self) -> None:
        client = self.clients.pop(1)  # the first one stays, to see whether it grows
        self.random.choice([client.interrupt, client.close_stdin])()
        if client.wait() != 0 or "Traceback" in client.stderr:
            self.tally.wrong.append(f"a server left with {client.wait()}: {client.stderr[-500:]}")
        client.close()
        self.clients.append(self._start())
        self.tally.servers_ended += 1

    def forget_ended(self) -> None:
        rows = self.registry.rows("SELECT job_id FROM jobs WHERE finished_at IS NULL")
        alive = {row[0] for row in rows}
        self.open = [job_id for job_id in self.open if job_id in alive]

    def _may_fail(self, tool: str, job_id: str) -> bool:
        """A job that has ended meanwhile is refused, and nothing else is."""
        answer = self._call(tool, {"job_id": job_id})
        if not answer["success"] and answer["error"]["code"] != "invalid_job_state":
            self.tally.wrong.append(f"{tool}: {answer}")
        return answer["success"]

    def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        client = self.random.choice(self.clients)
        message = client.request("tools/call", {"name": tool, "arguments": arguments})
        client.received.clear()
        return message["result"]["structuredContent"]

    def sizes(self) -> dict[str, float]:
        """What the oldest server and the supervisor take, each the most of them."""
        found = {"descriptors": 0.0, "threads": 0.0, "MiB": 0.0}
        pids = [client.pid for client in self.clients]
        supervisor = member_rows.supervisor(self.registry)
        if supervisor is not None and state_of(supervisor.identity) != DEAD:
            pids.append(pid_of(supervisor.identity))
        for pid in pids:
            try:
                process = psutil.Process(pid)
                now = {
                    "descriptors": process.num_fds(),
                    "threads": process.num_threads(),
                    "MiB": process.memory_info().rss / 2**20,
                }
            except psutil.Error:
                continue
            found = {key: max(found[key], value) for key, value in now.items()}
        return found

    async def finish(self) -> None:
        """End all that runs, and account for everything."""
        for client in self.clients:
            client.close_stdin()
            client.wait()
            client.close()
        async with await QueueManager.open(self.settings) as queue:
            for job_id in self.witness.unfinished():
                await queue.delete_job(job_id)
            await queues.run(queue, "add", a=2, b=3)
        tally = self.tally
        rows = self.registry.rows("SELECT job_id, status FROM jobs")
        known = dict(rows)
        tally.jobs_lost = len(self.witness.answered - set(known))
        tally.without_end = len(self.witness.unfinished())
        for status in known.values():
            tally.ends[status] = tally.ends.get(status, 0) + 1
        for job_id in known:
            changes = [(before, after) for before, after, _ in self.witness.transitions(job_id)]
            tally.double_ends += sum(after in states.ENDED for _, after in changes) > 1
            try:
                invariants.check_history(job_id, changes)
            except AssertionError as error:
                tally.wrong.append(str(error)[:500])
        self.registry.close()
        queues.clear(self.witness.path)
        _, alive = psutil.wait_procs(leaks.marked_processes() - self.before, timeout=GUARD)
        tally.orphans = len(alive)
        for process in alive:
            tally.wrong.append(f"still there: {process.pid} {' '.join(process.cmdline())[:200]}")
            process.kill()


async def run(seconds: float, seed: int, folder: Path) -> Tally:
    """Soak for so long; the seed decides what is done in which order."""
    soak = Soak(folder, seed)
    begun = time.monotonic()
    warm: dict[str, float] | None = None
    peak: dict[str, float] = {}
    while (passed := time.monotonic() - begun) < seconds:
        soak.step()
        if passed > min(WARM_UP, seconds / 2):
            now = soak.sizes()
            warm = warm or now
            peak = {key: max(peak.get(key, 0), value) for key, value in now.items()}
    await soak.finish()
    tally = soak.tally
    tally.seconds = round(time.monotonic() - begun, 1)
    tally.growth = {key: round(peak[key] - (warm or {})[key], 1) for key in peak}
    for key, limit in GROWTH.items():
        if tally.growth.get(key, 0) > limit:
            tally.wrong.append(f"{key} grew by {tally.growth[key]}")
    return tally


def bad(tally: Tally) -> bool:
    """Whether anything is not as promised."""
    return bool(
        tally.jobs_lost or tally.double_ends or tally.orphans or tally.without_end or tally.wrong
    )


def main() -> None:
    """Soak, print the tally as JSON, and exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="default: %(default)g")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    os.environ[leaks.MARK] = f"soak-{os.getpid()}"
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    os.environ["PYTHONPATH"] = path
    print(f"soaking for {options.seconds:g} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tally = asyncio.run(run(options.seconds, seed, Path(folder)))
    print(json.dumps(asdict(tally), indent=2))
    sys.exit(bad(tally))


if __name__ == "__main__":
    main()
