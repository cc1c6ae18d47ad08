"""Waiting jobs get the free slots: who comes next, and what becomes of one that cannot start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from mcp_queue import clock
from mcp_queue.errors import RegistryBusyError
from mcp_queue.jobs import job_rows, retry_rows, run_rows
from mcp_queue.supervisor.dispatch import Dispatcher
from mcp_queue.supervisor.executors import Death
from mcp_queue.supervisor.folders import RunFolders
from mcp_queue.supervisor.log_cap import LogCap
from mcp_queue.supervisor.memory import MemoryLimits
from mcp_queue.supervisor.niceness import Niceness
from mcp_queue.supervisor.retry import Retries
from mcp_queue.supervisor.settle import Settler

if TYPE_CHECKING:
    from support.supervising import FakeWorker, Scene


@pytest.fixture
def dispatcher(scene: Scene) -> Dispatcher:
    state = scene.state
    folders, log_cap = RunFolders(state), LogCap(state)
    settler = Settler(state, folders, Retries(state, folders), log_cap)
    memory = MemoryLimits(state, settler)
    return Dispatcher(state, folders, settler, memory, log_cap, Niceness(state))


def _started(scene: Scene) -> list[str]:
    """The jobs that were started, in this order."""
    state = scene.state
    jobs = [Path(state.folder.run(run_id).job) for run_id in scene.executor.workers]
    return [json.loads(job.read_bytes())["job_id"] for job in jobs]


def _end_first(scene: Scene) -> None:
    worker = cast("FakeWorker", next(iter(scene.state.runs.values())).worker)
    worker.die(Death(exit_code=0))
    scene.loop.poll()


def test_those_that_wait_longest_get_the_free_slots(scene: Scene, dispatcher: Dispatcher) -> None:
    scene.add("a", "b", "c", "d")
    dispatcher.dispatch(clock.monotonic())
    assert _started(scene) == ["a", "b"]
    dispatcher.dispatch(clock.monotonic())
    assert _started(scene) == ["a", "b"], "there is no free slot"
    scene.set(max_concurrent_jobs=3)
    dispatcher.dispatch(clock.monotonic())
    assert _started(scene) == ["a", "b", "c"]
    assert scene.jobs("pending") == ["d"]


def test_a_gate_opens_after_the_worker_is_recorded(scene: Scene, dispatcher: Dispatcher) -> None:
    scene.add("a")
    scene.set(niceness=7)
    dispatcher.dispatch(clock.monotonic())
    [(run_id, worker)] = scene.executor.workers.items()
    assert worker.did == ["niceness 7", "open gate"]
    [row] = run_rows.all_runs(scene.state.registry)
    assert (row.run_id, row.identity) == (run_id, worker.identity)


def test_a_death_frees_a_slot(scene: Scene, dispatcher: Dispatcher) -> None:
    scene.set(max_concurrent_jobs=1)
    scene.add("a", "b")
    dispatcher.dispatch(clock.monotonic())
    run = next(iter(scene.state.runs.values()))
    run.started = True
    _end_first(scene)
    scene.loop.let_pass(0)
    assert (scene.jobs("failed"), scene.looked) == (["a"], 1)
    dispatcher.dispatch(clock.monotonic())
    assert scene.jobs("running") == ["b"]


def test_a_job_at_rest_lets_others_pass(scene: Scene, dispatcher: Dispatcher) -> None:
    now = clock.monotonic()
    scene.add("resting", max_attempts=2)
    run_id = scene.claim("resting")
    retry_rows.retry(scene.state.registry, run_id, why="lost", boot="", due=now + 10)
    scene.add("other")
    dispatcher.dispatch(now)
    assert _started(scene) == ["other"]
    dispatcher.dispatch(now + 10)
    assert _started(scene) == ["other", "resting"]


def test_nothing_starts_in_a_shutdown(scene: Scene, dispatcher: Dispatcher) -> None:
    scene.add("a")
    scene.state.shutting_down = True
    dispatcher.dispatch(clock.monotonic())
    assert _started(scene) == []


def test_a_job_without_a_seal_fails_and_takes_no_slot(scene: Scene, dispatcher: Dispatcher) -> None:
    scene.set(max_concurrent_jobs=1)
    scene.add("foreign", sealed=False)
    scene.add("own")
    dispatcher.dispatch(clock.monotonic())
    assert _started(scene) == ["own"]
    error = job_rows.get(scene.state.registry, "foreign").error
    assert error is not None
    assert error.code == "untrusted"


def test_what_cannot_be_started_is_tried_three_times(scene: Scene, dispatcher: Dispatcher) -> None:
    scene.executor.fault = PermissionError(13, "Permission denied", "python")
    scene.add("a")
    dispatcher.dispatch(clock.monotonic())
    assert scene.jobs("failed") == ["a"]
    error = job_rows.get(scene.state.registry, "a").error
    assert error is not None
    assert "its interpreter python cannot be run (Permission denied)" in error.message
    assert scene.state.runs == {}


def test_a_claim_that_cannot_be_stored_is_started_at_the_next_check(
    scene: Scene, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise RegistryBusyError(path="registry.db", reason="a test")

    scene.add("a")
    with monkeypatch.context() as patch:
        patch.setattr(run_rows, "record_spawn", busy)
        with pytest.raises(RegistryBusyError):
            dispatcher.dispatch(clock.monotonic())
    assert scene.state.runs == {}
    [(run_id, worker)] = scene.executor.workers.items()
    assert worker.did == ["abandon"]
    dispatcher.dispatch(clock.monotonic())
    assert list(scene.state.runs) == [run_id]
    assert scene.executor.workers[run_id].did[-1] == "open gate"
