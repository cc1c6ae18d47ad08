"""What a job gets of a processor, and what it leaves to others, for several values of ``niceness``.

    python -m tests.benchmarks.niceness [NICENESS …]

Prints a table: the share of one core that a spinning job gets, alone and beside two busy shells,
and the 95th percentile of calls, in milliseconds, idle and while ten jobs spin. On a quiet machine
with two cores.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.run import OURS, begin, call, p95, samples, wait_for
from support.rawclient import RawClient

SHELLS = 2
SECONDS = 4.0  # that a share is measured for
JOBS = 10
WORDS = (
    "| niceness | share of a core | beside two busy shells | p95 idle, ms | while ten jobs spin "
    "| ten jobs and two shells |"
)


class Row(NamedTuple):
    """The figures of one niceness."""

    niceness: int
    share: float
    share_beside: float
    idle: float
    spinning: float
    spinning_beside: float

    def __str__(self) -> str:
        shares = f"{self.share:.2f} | {self.share_beside:.2f}"
        times = f"{self.idle:.2f} | {self.spinning:.2f} | {self.spinning_beside:.2f}"
        return f"| {self.niceness} | {shares} | {times} |"


@contextmanager
def busy_shells(count: int = SHELLS) -> Iterator[None]:
    """Shells that spin, each in a session of its own, as in terminals of their own."""
    shells = [
        subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for shell in shells:
            shell.kill()
            shell.wait()


def measured(niceness: int) -> Row:
    """All figures of one niceness, on a server of its own."""
    with RawClient(OURS, env={"MCP_QUEUE_NICENESS": str(niceness)}) as client:
        begin(client)
        share = _share(client)
        with busy_shells():
            beside = _share(client)
        idle = _p95(client)
        ids = [call(client, "spin")["job_id"] for _ in range(JOBS)]
        while call(client, "queue_health")["running_jobs"] < JOBS:
            time.sleep(0.05)
        time.sleep(2)  # all of them stand back by then
        spinning = _p95(client)
        with busy_shells():
            spinning_beside = _p95(client)
        for job_id in ids:
            arguments: dict[str, Any] = {
                "name": "queue_delete_job",
                "arguments": {"job_id": job_id},
            }
            client.post("tools/call", arguments)
    return Row(niceness, share, beside, idle, spinning, spinning_beside)


def _share(client: RawClient) -> float:
    job_id = call(client, "share_of_a_core", seconds=SECONDS)["job_id"]
    return float(wait_for(client, job_id)["result"])


def _p95(client: RawClient) -> float:
    return p95(samples(lambda: call(client, "queue_health"), 200, 0.01))


if __name__ == "__main__":
    print(WORDS)
    print("| --- | --- | --- | --- | --- | --- |")
    for each in [int(word) for word in sys.argv[1:]] or [0, 5, 10, 19]:
        print(measured(each), flush=True)
