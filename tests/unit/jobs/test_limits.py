"""Limits hold in the transaction that adds a job: who goes, who is refused, what it costs."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mcp_queue.errors import JobAlreadyExistsError, QueueFullError
from mcp_queue.jobs import job_rows, run_rows
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.run_rows import Ending
from support.rows import add, new_job, running

if TYPE_CHECKING:
    from collections.abc import Iterable

TYPES = ("train", "index", "other")


def limit(registry: Registry, **written: Any) -> None:
    """Let these settings be in force."""
    with registry.transaction():
        registry.execute("INSERT OR REPLACE INTO settings VALUES (1, ?)", (json.dumps(written),))


def statuses(registry: Registry, names: Iterable[str]) -> list[tuple[str, str | None]]:
    records = [job_rows.get(registry, name) for name in names]
    return [(record.status, record.reason) for record in records]


def test_without_limits_nothing_goes(registry: Registry) -> None:
    limit(registry, max_queue_size=None, per_job_type_limits=None)
    add(registry, *(f"job-{n}" for n in range(200)))
    assert job_rows.totals(registry)["pending"] == 200


def test_the_oldest_that_has_not_ended_goes_running_or_not(registry: Registry) -> None:
    limit(registry, max_queue_size=2, queue_full_policy="evict_oldest")
    ended = running(registry, "ended")
    run_rows.finish(registry, ended, Ending("completed"), gone=True)
    run_id = running(registry, "running")
    add(registry, "added", start=False)
    add(registry, "waiting")
    evicted = ("deleted", "evicted by max_queue_size")
    seen = statuses(registry, ["ended", "running", "added", "waiting"])
    assert seen == [("completed", None), evicted, ("pending", None), ("pending", None)]
    assert run_rows.to_end(registry) == [(run_id, True)]
    add(registry, "last")
    assert statuses(registry, ["added"]) == [evicted]


def test_an_evicted_job_keeps_no_secrets(registry: Registry) -> None:
    limit(registry, max_queue_size=1)
    add(registry, "first", "second")
    [row] = registry.rows("SELECT params, origin FROM jobs WHERE job_id = 'first'")
    assert row == ("{}", None)


def test_a_type_is_limited_by_itself_and_spares_the_others(registry: Registry) -> None:
    limit(registry, max_queue_size=3, per_job_type_limits={"train": 1})
    for name, job_type in (("a", "index"), ("b", "train"), ("c", "index"), ("d", "train")):
        job_rows.add(registry, new_job(name, job_type=job_type))
    seen = statuses(registry, "abcd")
    gone = ("deleted", "evicted by per_job_type_limits")
    assert seen == [("pending", None), gone, ("pending", None), ("pending", None)]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ({"max_queue_size": 2}, "max_queue_size"),
        ({"per_job_type_limits": {"command": 2}}, "per_job_type_limits['command']"),
    ],
)
def test_a_refusal_names_the_limit_and_changes_nothing(
    registry: Registry, written: dict[str, Any], name: str
) -> None:
    limit(registry, queue_full_policy="reject", **written)
    add(registry, "a", "b")
    rev = run_rows.latest_rev(registry)
    with pytest.raises(QueueFullError) as caught:
        add(registry, "c")
    assert caught.value.code == "queue_full"
    assert f"{name} is 2" in caught.value.message
    assert name in caught.value.hint
    assert run_rows.latest_rev(registry) == rev
    assert statuses(registry, "ab") == [("pending", None)] * 2
    job_rows.request_stop(registry, "a")
    assert add(registry, "c").status == "pending"


@pytest.mark.parametrize("policy", ["evict_oldest", "reject"])
def test_an_id_that_is_taken_evicts_nothing(registry: Registry, policy: str) -> None:
    limit(registry, max_queue_size=1, queue_full_policy=policy)
    add(registry, "job")
    with pytest.raises(JobAlreadyExistsError):
        add(registry, "job")
    assert statuses(registry, ["job"]) == [("pending", None)]


def test_a_limit_that_was_lowered_holds_from_the_next_job_on(registry: Registry) -> None:
    names = [f"job-{n}" for n in range(30)]
    add(registry, *names)
    limit(registry, max_queue_size=3)
    add(registry, "last")
    assert job_rows.totals(registry)["pending"] == 3
    assert [status for status, _ in statuses(registry, names[-2:])] == ["pending"] * 2


@pytest.mark.parametrize("policy", ["evict_oldest", "reject"])
def test_the_cost_does_not_grow_with_the_jobs(registry: Registry, policy: str) -> None:
    """Counted in steps of SQLite's machine, which no load of the machine changes."""

    def steps_at(count: int) -> int:
        limit(registry)
        add(registry, *(f"{policy}-{count}-{n}" for n in range(count)))
        total = job_rows.totals(registry)["pending"]
        limits = {"max_queue_size": total, "per_job_type_limits": {"command": total}}
        limit(registry, queue_full_policy=policy, **limits)
        steps = 0

        def step() -> bool:
            nonlocal steps
            steps += 1
            return False

        registry.connection.set_progress_handler(step, 1)
        try:
            add(registry, f"last-{count}")
        except QueueFullError:
            pass
        finally:
            registry.connection.set_progress_handler(None)
        return steps

    few = steps_at(150)  # positions in the queue are counted up to a hundred
    assert steps_at(2000) <= few * 1.1


@dataclass
class Job:
    """A job as the model knows it."""

    name: str
    type: str
    status: str = "pending"
    reason: str | None = None
    run: str | None = None

    @property
    def ended(self) -> bool:
        return self.status not in ("pending", "running")


class Full(RuleBasedStateMachine):
    """Jobs of several types come and go under limits that change; a list is the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.registry = Registry(str(Path(self.folder, "registry.db")))
        self.jobs: list[Job] = []
        self.size: int | None = None
        self.of_types: dict[str, int] = {}
        self.policy = "evict_oldest"

    def teardown(self) -> None:
        self.registry.close()
        shutil.rmtree(self.folder)

    def not_ended(self, job_type: str | None = None) -> list[Job]:
        return [job for job in self.jobs if not job.ended and job_type in (None, job.type)]

    @initialize()
    def begin(self) -> None:
        limit(self.registry)

    @rule(
        size=st.one_of(st.none(), st.integers(1, 5)),
        of_types=st.dictionaries(st.sampled_from(TYPES), st.integers(1, 3)),
        policy=st.sampled_from(["evict_oldest", "reject"]),
    )
    def configure(self, size: int | None, of_types: dict[str, int], policy: str) -> None:
        self.size, self.of_types, self.policy = size, of_types, policy
        limit(
            self.registry,
            max_queue_size=size,
            per_job_type_limits=of_types or None,
            queue_full_policy=policy,
        )

    @rule(job_type=st.sampled_from(TYPES), start=st.booleans())
    def add(self, job_type: str, start: bool) -> None:
        job = Job(f"job-{len(self.jobs)}", job_type)
        new = new_job(job.name, job_type=job_type, start=start)
        limits: list[tuple[str, int, str | None]] = []
        if job_type in self.of_types:
            limits.append(("per_job_type_limits", self.of_types[job_type], job_type))
        if self.size is not None:
            limits.append(("max_queue_size", self.size, None))
        if self.policy == "reject" and any(
            len(self.not_ended(of)) >= value for _, value, of in limits
        ):
            with pytest.raises(QueueFullError):
                job_rows.add(self.registry, new)
            return
        assert job_rows.add(self.registry, new).status == "pending"
        self.jobs.append(job)
        for key, value, of in limits:
            while len(self.not_ended(of)) > value:
                oldest = self.not_ended(of)[0]
                oldest.status, oldest.reason = "deleted", f"evicted by {key}"
        assert not job.ended

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        taken = len([job for job in self.jobs if job.run is not None])
        names = [f"run-{taken + n}" for n in range(count)]
        for claim in run_rows.claim(self.registry, names):
            [job] = [job for job in self.jobs if job.name == claim.job_id]
            job.status, job.run = "running", claim.run_id

    @precondition(lambda self: any(job.run for job in self.jobs))
    @rule(data=st.data(), status=st.sampled_from(["completed", "failed"]), gone=st.booleans())
    def finish(self, data: st.DataObject, status: str, gone: bool) -> None:
        job = data.draw(st.sampled_from([job for job in self.jobs if job.run]))
        assert job.run is not None
        error = ("exit", "x") if status == "failed" else (None, None)
        run_rows.finish(self.registry, job.run, Ending(status, *error), gone=gone)
        if job.status == "running":
            job.status = status

    @precondition(lambda self: self.not_ended())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.not_ended()))
        job_rows.delete(self.registry, job.name, "by client")
        job.status, job.reason = "deleted", "by client"

    @invariant()
    def the_registry_says_what_the_model_says(self) -> None:
        seen = statuses(self.registry, [job.name for job in self.jobs])
        assert seen == [(job.status, job.reason) for job in self.jobs]

    @invariant()
    def the_counts_by_type_are_true(self) -> None:
        counted = dict(self.registry.rows("SELECT job_type, n FROM not_ended WHERE n <> 0"))
        kinds = [job.type for job in self.not_ended()]
        assert counted == {kind: kinds.count(kind) for kind in set(kinds)}


Full.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFull = Full.TestCase
