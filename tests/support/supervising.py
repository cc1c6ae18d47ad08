"""A supervisor without processes and without waiting: its loop, its executor and its workers."""

from __future__ import annotations

import heapq
import json
import os
import select
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from mcp_queue.jobs import job_rows, run_rows, seals
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.shared_settings import SharedSettings
from mcp_queue.supervisor.checks import Checks
from mcp_queue.supervisor.executors import Death
from mcp_queue.supervisor.loop import Timer
from mcp_queue.supervisor.state import Run, State
from support.rows import new_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.supervisor.loop import HasFileno, Loop

ORIGIN = json.dumps({"interpreter": "python", "cwd": "/", "sys_path": [], "env": {}})


class FakeLoop:
    """Time passes when a test lets it."""

    def __init__(self) -> None:
        self.stopped = False
        self.now = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._waited: dict[int, Callable[[], None]] = {}

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + max(0.0, seconds), next(self._order), timer))
        return timer

    def on_readable(self, what: HasFileno, callback: Callable[[], None]) -> None:
        self._waited[what.fileno()] = callback

    def forget(self, what: HasFileno) -> None:
        del self._waited[what.fileno()]

    def contain(self, *_: object) -> None:
        """Errors are a test's to see."""

    def stop(self) -> None:
        self.stopped = True

    def let_pass(self, seconds: float) -> None:
        """Make the calls that are due within so many seconds, those of now included."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end + 1e-9:
            self.now, _, timer = heapq.heappop(self._timers)
            timer.fire()
        self.now = end

    def poll(self) -> None:
        """Call back for all that is readable now."""
        readable, _, _ = select.select(list(self._waited), [], [], 0)
        for descriptor in readable:
            if descriptor in self._waited:
                self._waited[descriptor]()


class FakeWorker:
    """Takes down what is done to it."""

    def __init__(self, run_id: str) -> None:
        self.identity = f"identity of {run_id}"
        self.did: list[str] = []
        self.used = 0
        """Bytes of memory."""
        self.refusals = 0
        """How often it cannot be made to stand back."""
        self._death = Death()
        self._alive, self._dies = os.pipe()

    def die(self, death: Death) -> None:
        self._death = death
        os.write(self._dies, b"!")

    def fileno(self) -> int:
        return self._alive

    def set_niceness(self, niceness: int) -> bool:
        self.did.append(f"niceness {niceness}")
        self.refusals -= 1
        return self.refusals < 0

    def open_gate(self) -> None:
        self.did.append("open gate")

    def abandon(self) -> None:
        self.did.append("abandon")
        self.close()

    def ask_to_stop(self) -> None:
        self.did.append("ask to stop")

    def kill(self) -> None:
        self.did.append("kill")

    def memory(self, enough: int) -> int:
        self.did.append("memory")
        return self.used

    def reap(self) -> Death:
        return self._death

    def kill_leftovers(self) -> None:
        self.did.append("kill_leftovers")

    def close(self) -> None:
        for descriptor in (self._alive, self._dies):
            if descriptor >= 0:
                os.close(descriptor)
        self._alive = self._dies = -1


class FakeExecutor:
    """Starts fake workers."""

    def __init__(self) -> None:
        self.workers: dict[str, FakeWorker] = {}
        """By the id of the run, in the order of their starts."""
        self.fault: OSError | None = None
        """Why nothing can be started."""

    def start(self, run_id: str, folder: RunFolder, origin: dict[str, Any]) -> FakeWorker:
        if self.fault is not None:
            raise self.fault
        assert os.path.exists(folder.job)
        assert run_id not in self.workers or self.workers[run_id].did == ["abandon"]
        self.workers[run_id] = FakeWorker(run_id)
        return self.workers[run_id]

    def adopt(self, run_id: str, folder: RunFolder, identity: str) -> FakeWorker:
        return self.start(run_id, folder, {})

    def reap(self) -> None:
        """There are no orphans."""

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


class Scene:
    """The state of a supervisor, with what a test steers of it."""

    def __init__(self, folder: Path) -> None:
        path = str(folder / "registry.db")
        self.loop = FakeLoop()
        self.executor = FakeExecutor()
        loop = cast("Loop", self.loop)
        self.looked = 0
        """Checks that were due and made."""
        self.state = State(
            registry=Registry(path),
            folder=RegistryFolder(path),
            loop=loop,
            checks=Checks(loop),
            executor=self.executor,
            settings=SharedSettings(in_memory=False, max_concurrent_jobs=2),
            key_file=str(folder / "key"),
            owner="",
        )
        self.state.checks.check = self._look
        self.state.folder.make()

    def set(self, **settings: Any) -> None:
        """Let these settings be in force."""
        self.state.settings = replace(self.state.settings, **settings)

    def add(self, *job_ids: str, sealed: bool = True, max_attempts: int = 1) -> None:
        """Add jobs that wait for a start."""
        for job_id in job_ids:
            job = replace(new_job(job_id, max_attempts=max_attempts), origin=ORIGIN)
            seal = seals.of_job(seals.read_key(self.state.key_file), job) if sealed else None
            job_rows.add(self.state.registry, replace(job, seal=seal))

    def claim(self, job_id: str) -> str:
        """Bind the job that waits longest, which is this one, to a run; the run's id."""
        [claim] = run_rows.claim(self.state.registry, [f"run-of-{job_id}"])
        assert claim.job_id == job_id
        return claim.run_id

    def run(self, run_id: str, **fields: Any) -> tuple[Run, FakeWorker]:
        """A run that takes a slot, of no job in the registry."""
        folder, worker = self.state.folder.run(run_id), FakeWorker(run_id)
        os.mkdir(folder.path)
        self.executor.workers[run_id] = worker
        run = Run(run_id, folder, worker, **{"timeout": None, **fields})
        self.state.runs[run_id] = run
        return run, worker

    def jobs(self, status: str) -> list[str]:
        """The ids of the jobs in this state, the oldest first."""
        rows = self.state.registry.rows(
            "SELECT job_id FROM jobs WHERE status = ? ORDER BY seq", (status,)
        )
        return [job_id for (job_id,) in rows]

    def _look(self) -> None:
        self.looked += 1


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """A scene whose descriptors are closed at its end."""
    scene = Scene(folder)
    try:
        yield scene
    finally:
        scene.executor.close()
        scene.state.registry.close()
