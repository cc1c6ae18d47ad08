"""A ring that names a run makes the supervisor check that run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_queue.jobs import bell, events, job_rows
from mcp_queue.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.supervising import Scene

NAMES = ("a", "b", "c")
ALL = dict.fromkeys(NAMES, 50.0)
NONE = dict.fromkeys(NAMES, 0.0)


@pytest.fixture
def supervisor(scene: Scene) -> Iterator[Supervisor]:
    supervisor = Supervisor(scene.state)
    supervisor.take_charge()
    scene.set(max_concurrent_jobs=len(NAMES))
    for name in NAMES:
        scene.add(name)
        scene.run(scene.claim(name))
    yield supervisor
    supervisor.close(remove_bell=True)


def _report(scene: Scene) -> None:
    """Each run tells its progress, and rings for nobody."""
    for run in scene.state.runs.values():
        events.append(run.folder.events, events.PROGRESS, {"progress": 50})


def _progress(scene: Scene) -> dict[str, float]:
    scene.loop.poll()
    return {name: job_rows.get(scene.state.registry, name).progress for name in NAMES}


def _ring(scene: Scene, *names: str) -> None:
    for name in names:
        bell.ring(scene.state.folder.bell, name)


@pytest.mark.usefixtures("supervisor")
@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (["run-of-a"], {**NONE, "a": 50.0}),
        (["run-of-a", "run-of-c", "run-of-a"], {**ALL, "b": 0.0}),
        ([bell.REGISTRY], NONE),
        ([bell.REGISTRY, "run-of-b"], {**NONE, "b": 50.0}),
        ([""], ALL),
        (["run-of-a", ""], ALL),
        (["", "run-of-a"], ALL),
        (["a run of another supervisor"], ALL),
        (["run-of-a", "../x"], ALL),
        (["run-of-a\nrun-of-b"], {**ALL, "c": 0.0}),
        (["\x00"], ALL),
        (["\xe9"], ALL),
        (["x" * 1000], ALL),
        (["run-of-a"] * 1000, ALL),
    ],
)
def test_what_rang_is_looked_at(scene: Scene, names: list[str], seen: dict[str, float]) -> None:
    _report(scene)
    _ring(scene, *names)
    assert _progress(scene) == seen


def test_a_lost_ring_is_made_up_for(scene: Scene, supervisor: Supervisor) -> None:
    supervisor.begin()
    scene.loop.let_pass(0)
    _report(scene)
    assert _progress(scene) == NONE
    scene.loop.let_pass(2)
    assert _progress(scene) == ALL


def test_a_run_whose_news_could_not_be_stored_is_looked_at_again(
    scene: Scene, supervisor: Supervisor
) -> None:
    _report(scene)
    supervisor._on_error(OSError("a full disk"))
    _ring(scene, bell.REGISTRY)
    assert _progress(scene) == ALL
