"""Runs are ended early for one cause: asked first, killed when their grace is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_queue.jobs import events, job_rows
from mcp_queue.supervisor import causes, shutdown, stop
from mcp_queue.supervisor.causes import Cause

if TYPE_CHECKING:
    from support.supervising import Scene

ASKED, KILLED = ["ask to stop"], ["ask to stop", "kill"]


@pytest.mark.parametrize("cause", [causes.STOP, causes.DELETE, causes.timeout(1)])
def test_a_run_is_asked_and_killed_after_its_grace(scene: Scene, cause: Cause) -> None:
    scene.set(stop_grace_seconds=3.0)
    run, worker = scene.run("run")
    stop.end(scene.state, run, cause)
    assert run.cause is cause
    assert [line["cause"] for line in events.read(run.folder.control, 0)[0]] == [cause.name]
    scene.loop.let_pass(2.9)
    assert worker.did == ASKED
    scene.loop.let_pass(0.1)
    assert worker.did == KILLED


@pytest.mark.parametrize(
    ("first", "second"), [(causes.STOP, causes.timeout(1)), (causes.timeout(1), causes.STOP)]
)
def test_the_first_cause_counts(scene: Scene, first: Cause, second: Cause) -> None:
    run, worker = scene.run("run")
    stop.end(scene.state, run, first, grace=5)
    stop.end(scene.state, run, second, grace=0)
    assert run.cause is first
    scene.loop.let_pass(4)
    assert worker.did == ASKED


def test_a_run_is_killed_at_once_for_the_cause_that_it_had(scene: Scene) -> None:
    run, worker = scene.run("run")
    stop.end(scene.state, run, causes.STOP)
    stop.end_at_once(scene.state, run, causes.out_of_memory(2, 1))
    assert (run.cause, worker.did) == (causes.STOP, KILLED)


def test_a_job_that_ended_by_itself_has_no_cause(scene: Scene) -> None:
    scene.set(stop_grace_seconds=3.0)
    run, worker = scene.run("run", settled=True)
    stop.kill_after_grace(scene.state, run)
    stop.end(scene.state, run, causes.STOP, grace=0)
    scene.loop.let_pass(2.9)
    assert (run.cause, worker.did) == (None, [])
    scene.loop.let_pass(0.1)
    assert worker.did == ["kill"]


def test_a_run_that_is_gone_is_not_killed(scene: Scene) -> None:
    run, worker = scene.run("run")
    stop.end(scene.state, run, causes.STOP)
    del scene.state.runs["run"]
    scene.loop.let_pass(60)
    assert worker.did == ASKED


def test_what_clients_ask_is_obeyed_once(scene: Scene) -> None:
    scene.add("stopped", "deleted", "left")
    run_ids = {name: scene.claim(name) for name in ("stopped", "deleted", "left")}
    runs = {name: scene.run(run_id) for name, run_id in run_ids.items()}
    job_rows.request_stop(scene.state.registry, "stopped")
    job_rows.delete(scene.state.registry, "deleted", "as asked")
    for _ in range(2):
        stop.apply_stop_requests(scene.state)
    assert {name: run.cause for name, (run, _) in runs.items()} == {
        "stopped": causes.STOP,
        "deleted": causes.DELETE,
        "left": None,
    }
    assert [worker.did for _, worker in runs.values()] == [ASKED, ASKED, []]


@pytest.mark.parametrize(("seconds", "after"), [(30, ASKED), (0, ["kill"])])
def test_a_shutdown_ends_all_runs(scene: Scene, seconds: float, after: list[str]) -> None:
    run, worker = scene.run("run")
    shutdown.begin(scene.state, seconds)
    assert (run.cause, worker.did) == (causes.SHUTDOWN, after)
    assert not shutdown.finished(scene.state)
    scene.state.runs.clear()
    assert shutdown.finished(scene.state)


def test_a_second_shutdown_shortens_the_first(scene: Scene) -> None:
    _, worker = scene.run("run")
    shutdown.begin(scene.state, 30)
    shutdown.begin(scene.state, 0)
    assert worker.did == KILLED
