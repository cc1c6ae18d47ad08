"""The states of a job against a plain model: any operations in any order, one end each."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from mcp_queue.errors import InvalidJobStateError, JobAlreadyExistsError
from mcp_queue.jobs import job_rows, retry_rows, run_rows, states
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.run_rows import FALSE_STARTS, Ending
from support.rows import new_job

ATTEMPTS = 2

FOLLOWS = {
    "pending": {"running", "stopped", "deleted"},
    # Back to pending: the worker died before any user code ran, or another attempt is allowed.
    "running": {"pending", "completed", "failed", "stopped", "deleted"},
    "completed": {"deleted"},
    "failed": {"deleted"},
    "stopped": {"deleted"},
    "deleted": set[str](),
}
"""The states that may follow each state."""


@dataclass
class Model:
    """A job as the page on jobs describes it."""

    status: str = "pending"
    order: int | None = None
    run: str | None = None
    stop: bool = False
    false_starts: int = 0
    attempt: int = 1
    rests: bool = False
    """Between two attempts: the lost run's logs can be read, but it has not started."""
    ends: int = 0
    """How often it reached completed, failed or stopped."""

    def become(self, status: str) -> None:
        assert status in FOLLOWS[self.status]
        self.status = status
        self.ends += status in states.ENDED


class JobLife(RuleBasedStateMachine):
    """Clients and supervisors act on one registry."""

    jobs = Bundle("jobs")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.registry = Registry(str(Path(self.folder, "registry.db")))
        self.model: dict[str, Model] = {}
        self.living: set[str] = set()
        self.job_of: dict[str, str] = {}
        self.orders = 0
        self.seen_rev = 0

    def teardown(self) -> None:
        self.registry.close()
        shutil.rmtree(self.folder)

    def _next_order(self) -> int:
        self.orders += 1
        return self.orders

    @rule(target=jobs, name=st.sampled_from("abcdefgh"), start=st.booleans())
    def add(self, name: str, start: bool) -> str:
        if name in self.model:
            with pytest.raises(JobAlreadyExistsError):
                job_rows.add(self.registry, new_job(name, start=start, max_attempts=ATTEMPTS))
        else:
            job_rows.add(self.registry, new_job(name, start=start, max_attempts=ATTEMPTS))
            self.model[name] = Model(order=self._next_order() if start else None)
        return name

    @rule(name=jobs)
    def start(self, name: str) -> None:
        job = self.model[name]
        if job.status == "pending" and job.order is None:
            job_rows.start(self.registry, name)
            job.order = self._next_order()
        else:
            with pytest.raises(InvalidJobStateError):
                job_rows.start(self.registry, name)

    @rule(name=jobs)
    def stop(self, name: str) -> None:
        job = self.model[name]
        if job.status == "pending":
            job_rows.request_stop(self.registry, name)
            job.become("stopped")
        elif job.status == "running":
            assert job_rows.request_stop(self.registry, name).stop_requested
            job.stop = True
        else:
            with pytest.raises(InvalidJobStateError):
                job_rows.request_stop(self.registry, name)

    @rule(name=jobs)
    def delete(self, name: str) -> None:
        job = self.model[name]
        if job.status == "deleted":
            with pytest.raises(InvalidJobStateError):
                job_rows.delete(self.registry, name, "by client")
        else:
            job_rows.delete(self.registry, name, "by client")
            job.become("deleted")

    @rule(target=runs, count=st.integers(1, 3))
    def claim(self, count: int):
        waiting = sorted(
            (job.order, name)
            for name, job in self.model.items()
            if job.status == "pending" and job.order is not None
        )
        names = [f"run-{len(self.job_of) + n}" for n in range(count)]
        claims = run_rows.claim(self.registry, names)
        assert [claim.job_id for claim in claims] == [name for _, name in waiting[:count]]
        for claim in claims:
            job = self.model[claim.job_id]
            job.become("running")
            assert claim.previous_run_id == job.run
            job.run = claim.run_id
            job.rests = False
            self.living.add(claim.run_id)
            self.job_of[claim.run_id] = claim.job_id
            assert claim.attempt == job.attempt
        return multiple(*(claim.run_id for claim in claims))

    @rule(run=runs, progress=st.one_of(st.none(), st.floats(0, 100)), started=st.booleans())
    def record(self, run: str, progress: float | None, started: bool) -> None:
        job = self.model[self.job_of[run]]
        before = job_rows.get(self.registry, self.job_of[run])
        run_rows.record_events(
            self.registry, run, 1, started=started, progress=progress, description=None
        )
        after = job_rows.get(self.registry, self.job_of[run])
        if job.run == run and job.status == "running":
            assert after.progress == (before.progress if progress is None else progress)
        else:
            assert after == before
        if started and job.run == run:
            job.false_starts = 0

    @rule(run=runs, status=st.sampled_from(["completed", "failed", "stopped"]), gone=st.booleans())
    def finish(self, run: str, status: str, gone: bool) -> None:
        job = self.model[self.job_of[run]]
        error = ("exit", "x") if status == "failed" else (None, None)
        decides = job.run == run and job.status == "running"
        ending = Ending(status, *error, result="1", result_size=1)
        assert run_rows.finish(self.registry, run, ending, gone=gone) == decides
        if decides:
            job.become("stopped" if job.stop else status)
            record = job_rows.get(self.registry, self.job_of[run])
            assert record.result == 1
            assert (record.error is not None) == (job.status == "failed")
        if gone:
            self.living.discard(run)

    @rule(run=runs)
    def put_back(self, run: str) -> None:
        job = self.model[self.job_of[run]]
        decides = (
            job.run == run
            and job.status == "running"
            and not job.stop
            and job.false_starts + 1 < FALSE_STARTS
        )
        assert run_rows.put_back(self.registry, run) == decides
        if decides:
            job.become("pending")
            job.false_starts += 1
            job.run = None
            job.rests = False
            self.living.discard(run)

    @rule(run=runs)
    def retry(self, run: str) -> None:
        job = self.model[self.job_of[run]]
        decides = (
            job.run == run and job.status == "running" and not job.stop and job.attempt < ATTEMPTS
        )
        assert retry_rows.retry(self.registry, run, why="lost", boot="boot", due=0.0) == decides
        if decides:
            job.become("pending")
            job.attempt += 1
            job.false_starts = 0
            job.rests = True
            self.living.discard(run)
            assert job_rows.get(self.registry, self.job_of[run]).progress == 0

    @rule(run=runs)
    def forget(self, run: str) -> None:
        job = self.model[self.job_of[run]]
        if job.run != run or job.status != "running":
            run_rows.forget(self.registry, run)
            self.living.discard(run)

    @invariant()
    def the_registry_says_what_the_model_says(self) -> None:
        waiting = sorted(
            (job.order, name)
            for name, job in self.model.items()
            if job.status == "pending" and job.order is not None
        )
        places = {name: place for place, (_, name) in enumerate(waiting, 1)}
        for name, job in self.model.items():
            record = job_rows.get(self.registry, name)
            assert record.status == job.status
            assert record.queue_position == places.get(name)
            assert (record.finished_at is not None) == (job.status in states.TERMINAL)
            assert (record.started_at is not None) == (job.run is not None and not job.rests)
            assert record.attempt == job.attempt
            assert record.run_id == job.run
            assert job.ends <= 1
        assert job_rows.unfinished(self.registry) == bool(
            waiting or self.living or any(job.status == "running" for job in self.model.values())
        )

    @invariant()
    def totals_and_runs_are_those_of_the_model(self) -> None:
        counted: dict[str, int] = dict.fromkeys(states.ALL, 0)
        for job in self.model.values():
            counted[job.status] += 1
        assert job_rows.totals(self.registry) == counted
        assert {row.run_id for row in run_rows.all_runs(self.registry)} == self.living

    @invariant()
    def a_reader_of_changes_misses_none(self) -> None:
        changed = job_rows.changed_since(self.registry, self.seen_rev, 100)
        assert [r.rev for r in changed] == sorted({r.rev for r in changed})
        if changed:
            self.seen_rev = changed[-1].rev


JobLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJobLife = JobLife.TestCase
