"""What follows from the last word of a run and from its death."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.errors import RegistryBusyError
from mcp_queue.jobs import events, job_rows, run_rows
from mcp_queue.supervisor import causes, stop
from mcp_queue.supervisor.executors import Death
from mcp_queue.supervisor.folders import RunFolders
from mcp_queue.supervisor.log_cap import LogCap
from mcp_queue.supervisor.retry import Retries
from mcp_queue.supervisor.settle import Settler

if TYPE_CHECKING:
    from mcp_queue.supervisor.causes import Cause
    from mcp_queue.supervisor.state import Run
    from support.supervising import FakeWorker, Scene

DONE: dict[str, Any] = {"status": "completed", "result": "1", "result_size": 1}
RAISED: dict[str, Any] = {"status": "failed", "error_code": "exception", "error_message": "x"}
KILLED, LEFT, GONE = Death(signal="SIGKILL"), Death(exit_code=0), Death()


@pytest.fixture
def settler(scene: Scene) -> Settler:
    folders = RunFolders(scene.state)
    return Settler(scene.state, folders, Retries(scene.state, folders), LogCap(scene.state))


def _run(scene: Scene, settler: Settler, attempts: int = 1) -> tuple[Run, FakeWorker]:
    scene.add("job", max_attempts=attempts)
    run, worker = scene.run(scene.claim("job"))
    scene.state.loop.on_readable(worker, lambda: settler.on_death(run))
    return run, worker


def _die(scene: Scene, worker: FakeWorker, death: Death) -> None:
    worker.die(death)
    scene.loop.poll()


@pytest.mark.parametrize(
    ("started", "outcome", "cause", "death", "attempts", "status", "code"),
    [
        (True, DONE, None, LEFT, 1, "completed", None),
        (True, DONE, None, KILLED, 3, "completed", None),
        (True, RAISED, None, LEFT, 3, "failed", "exception"),
        (True, None, None, KILLED, 1, "failed", "signal"),
        (True, None, None, KILLED, 3, "pending", None),
        (True, None, None, LEFT, 3, "pending", None),
        (True, None, None, GONE, 1, "failed", "interrupted"),
        (True, None, causes.STOP, KILLED, 3, "stopped", None),
        (True, DONE, causes.STOP, LEFT, 3, "stopped", None),
        (True, None, causes.timeout(1), KILLED, 3, "failed", "timeout"),
        (False, None, causes.STOP, KILLED, 3, "stopped", None),
        (False, None, None, LEFT, 1, "pending", None),
        (False, None, None, GONE, 1, "pending", None),
    ],
)
def test_what_becomes_of_a_job_whose_worker_died(
    scene: Scene,
    settler: Settler,
    started: bool,
    outcome: dict[str, Any] | None,
    cause: Cause | None,
    death: Death,
    attempts: int,
    status: str,
    code: str | None,
) -> None:
    run, worker = _run(scene, settler, attempts)
    if started:
        events.append(run.folder.events, events.STARTED, {})
    if cause is not None:
        stop.end(scene.state, run, cause)
    if outcome is not None:
        events.append(run.folder.events, events.OUTCOME, outcome)
    _die(scene, worker, death)
    record = job_rows.get(scene.state.registry, "job")
    assert (record.status, record.error and record.error.code) == (status, code)
    assert scene.state.runs == {}
    assert run_rows.all_runs(scene.state.registry) == []
    assert "kill_leftovers" in worker.did
    scene.loop.let_pass(60)
    assert worker.did.count("kill") == 0, "nothing is killed after its death"
    assert scene.looked == 1


def test_a_job_ends_with_its_outcome_and_its_slot_with_its_worker(
    scene: Scene, settler: Settler
) -> None:
    scene.set(stop_grace_seconds=3.0)
    run, worker = _run(scene, settler)
    events.append(run.folder.events, events.OUTCOME, DONE)
    settler.collect(run)
    settler.collect(run)
    assert scene.jobs("completed") == ["job"]
    assert list(scene.state.runs) == [run.run_id]
    scene.loop.let_pass(3)
    assert worker.did == ["kill"]
    _die(scene, worker, KILLED)
    assert scene.state.runs == {}
    assert scene.jobs("completed") == ["job"]
    assert os.path.exists(run.folder.path)


@pytest.mark.parametrize("counted", [True, False])
def test_a_worker_that_never_runs_its_job_is_tried_three_times(
    scene: Scene, settler: Settler, counted: bool
) -> None:
    scene.add("job")
    for _ in range(3):
        settler.requeue(scene.claim("job"), "no", counted=counted)
    assert scene.jobs("failed" if counted else "pending") == ["job"]


def test_the_folder_of_a_deleted_job_goes_with_its_run(scene: Scene, settler: Settler) -> None:
    run, worker = _run(scene, settler)
    events.append(run.folder.events, events.STARTED, {})
    job_rows.delete(scene.state.registry, "job", "as asked")
    _die(scene, worker, KILLED)
    assert not os.path.exists(run.folder.path)


def test_a_death_that_cannot_be_stored_is_settled_at_a_later_check(
    scene: Scene, settler: Settler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise RegistryBusyError(path="registry.db", reason="a test")

    run, worker = _run(scene, settler)
    events.append(run.folder.events, events.STARTED, {})
    worker.die(KILLED)
    with monkeypatch.context() as patch:
        patch.setattr(run_rows, "finish", busy)
        with pytest.raises(RegistryBusyError):
            scene.loop.poll()
    assert (list(scene.state.runs), run.death) == ([run.run_id], KILLED)
    settler.collect(run)
    assert (scene.state.runs, scene.jobs("failed")) == ({}, ["job"])
